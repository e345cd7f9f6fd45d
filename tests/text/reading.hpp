#pragma once

#include "eckart/base/error.hpp"
#include "eckart/mpi/communicator.hpp"
#include "eckart/text/corpus.hpp"

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace eckart::text {

using Ngrams = std::map<std::vector<TokenId>, int>;

/// All n-grams and counts of a corpus, shard by shard, as one rank reads it.
struct Reading {
    Ngrams ngrams;
    ReadCounts counts;
};

inline Reading read_all(const std::vector<std::string>& paths, const CorpusOptions& options) {
    const mpi::Communicator world = mpi::Communicator::world();
    Progress progress = Progress::silent();
    Corpus corpus = Corpus::open(paths, options);
    corpus.prepare(world, progress);
    Reading reading;
    for (const Shard& shard : corpus.shards()) {
        const auto source = corpus.read(shard);
        for (TokenChunk chunk; source->next(chunk);)
            for (std::size_t i = 0; i + static_cast<std::size_t>(options.order) <= chunk.tokens.size(); ++i)
                ++reading.ngrams[{chunk.tokens.begin() + i, chunk.tokens.begin() + i + options.order}];
        reading.counts += source->counts();
    }
    return reading;
}

/// The message of the error that reading ends with.
inline std::string failure(const std::vector<std::string>& paths, const CorpusOptions& options) {
    try {
        read_all(paths, options);
    } catch (const Error& error) {
        return error.what();
    }
    return "";
}

/// Where real data for tests lies, when it is there.
inline std::filesystem::path shared_data() {
    const char* const place = std::getenv("ECKART_SHARED_DATA");
    return place != nullptr ? place : "../shared/data";
}

}  // namespace eckart::text
