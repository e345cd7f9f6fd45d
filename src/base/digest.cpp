#include "eckart/base/digest.hpp"

#include "eckart/base/error.hpp"

#include <charconv>

#include <xxhash.h>

namespace eckart {

struct Hasher::State {
    XXH3_state_t* xxh3 = XXH3_createState();
    ~State() { XXH3_freeState(xxh3); }
};

Hasher::Hasher() : state_(std::make_unique<State>()) {
    XXH3_128bits_reset(state_->xxh3);
}
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

Hasher& Hasher::add(std::span<const std::byte> bytes) {
    XXH3_128bits_update(state_->xxh3, bytes.data(), bytes.size());
    return *this;
}

Digest Hasher::digest() const {
    const XXH128_hash_t hash = XXH3_128bits_digest(state_->xxh3);
    return {hash.high64, hash.low64};
}

Digest digest_of(std::span<const std::byte> bytes) {
    const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
    return {hash.high64, hash.low64};
}

std::string Digest::hex() const {
    return fmt::format("{:016x}{:016x}", high, low);
}

Digest Digest::parse(std::string_view text) {
    Digest digest;
    const char* begin = text.data();
    const bool ok = text.size() == 32 &&
                    std::from_chars(begin, begin + 16, digest.high, 16).ptr == begin + 16 &&
                    std::from_chars(begin + 16, begin + 32, digest.low, 16).ptr == begin + 32;
    require(ok, "'{}' is not a digest of 32 hexadecimal digits", text);
    return digest;
}

}  // namespace eckart
