// eckart-tokenize: text to token ids, once and for all. Leaves a Megatron .bin with its .idx, or a flat .bin.

#include "eckart/base/error.hpp"
#include "eckart/driver/command_line.hpp"
#include "eckart/driver/corpus_options.hpp"
#include "eckart/mpi/agree.hpp"
#include "eckart/text/corpus.hpp"
#include "eckart/text/token_writer.hpp"

#include <iostream>
#include <optional>
#include <string>
#include <vector>

using namespace eckart;
namespace po = boost::program_options;

namespace {

po::options_description options() {
    po::options_description output("Output");
    output.add_options()("out", po::value<std::string>()->required()->value_name("NAME.bin"),
                         "file of the ids; documents go to NAME.idx")(
        "flat", po::bool_switch(), "no .idx: documents end with the token of --document-end");
    po::options_description all;
    all.add(driver::corpus_options()).add(output).add(driver::job_options());
    return all;
}

int run(const mpi::Communicator& world, int argc, char** argv) {
    po::positional_options_description positional;
    positional.add("corpus", -1);
    std::optional<driver::Command> command;
    std::optional<text::Corpus> corpus;
    mpi::agree(world, [&] {
        command = driver::parse_command(argc, argv, "eckart-tokenize CORPUS... --out NAME.bin [options]",
                                        "Tokenises a corpus once, to a Megatron or flat token file.",
                                        options(), positional);
        if (!command->message.empty()) return;
        corpus = text::Corpus::open(command->get<std::vector<std::string>>("corpus"),
                                    driver::read_corpus_options(*command));
    });
    if (!command->message.empty()) {
        if (world.is_root()) std::cout << command->message;
        return exit_success;
    }
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
