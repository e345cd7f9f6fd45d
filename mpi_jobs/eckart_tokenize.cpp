// eckart-tokenize: text to token ids, once and for all. Leaves a Megatron .bin with its .idx, or a flat .bin.

#include "eckart/base/error.hpp"
#include "eckart/base/interrupt.hpp"
#include "eckart/driver/command_line.hpp"
#include "eckart/driver/corpus_options.hpp"
#include "eckart/driver/run_options.hpp"
#include "eckart/driver/tokenize_options.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/text/corpus.hpp"
#include "eckart/text/token_writer.hpp"

#include <iostream>
#include <optional>
#include <string>
#include <vector>

using namespace eckart;

namespace {

int run(const mpi::Communicator& world, int argc, char** argv) {
    std::optional<driver::Command> command;
    std::optional<text::Corpus> corpus;
    mpi::agree(world, [&] {
        command = driver::parse_command(argc, argv, "eckart-tokenize CORPUS... --out NAME.bin [options]",
                                        "Tokenises a corpus once, to a Megatron or flat token file.",
                                        driver::tokenize_options(), driver::corpus_positional());
        if (!command->message.empty()) return;
        corpus = text::Corpus::open(command->get<std::vector<std::string>>("corpus"),
                                    driver::read_corpus_options(*command));
    });
    if (!command->message.empty()) {
        if (world.is_root()) std::cout << command->message;
        return exit_success;
    }
    watch_for_interrupt();
    Progress progress = driver::job_progress(*command, "tokenize", world);
    corpus->prepare(world, progress);
    const auto format = command->flag("flat") ? text::TokenFormat::flat : text::TokenFormat::megatron;
    const text::WrittenTokens written =
        text::write_tokens(world, *corpus, command->get<std::string>("out"), format, progress);
    progress.note(fmt::format("{} documents, {} tokens as {}; {} documents or lines skipped",
                              written.counts.documents, written.counts.tokens, written.type,
                              written.counts.skipped));
    return exit_success;
}

}  // namespace

int main(int argc, char** argv) {
    return mpi::run_job(argc, argv, [&](const mpi::Communicator& world) { return run(world, argc, argv); });
}
