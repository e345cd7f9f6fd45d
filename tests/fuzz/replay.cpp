// The main of a fuzz target where there is no libFuzzer: every file of the directories named goes in once.

#include "fuzz.hpp"

#include <filesystem>
#include <iterator>

int main(int argc, char** argv) {
    int inputs = 0;
    for (int i = 1; i < argc; ++i)
        for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
            std::ifstream file(entry.path(), std::ios::binary);
            const std::string input(std::istreambuf_iterator<char>(file), {});
            LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
            ++inputs;
        }
    std::printf("%d inputs\n", inputs);
    return inputs == 0;
}
