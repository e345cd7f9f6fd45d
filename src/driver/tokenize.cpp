#include "eckart/base/error.hpp"
#include "eckart/driver/commands.hpp"
#include "eckart/driver/corpus_options.hpp"
#include "eckart/driver/placement_options.hpp"
#include "eckart/driver/run_options.hpp"
#include "eckart/driver/tokenize_options.hpp"

#include <iostream>

#include <boost/any.hpp>

namespace eckart::driver {

namespace {

/// The options of `own` that were given, on the command line or in a file, as the words that say the same.
std::vector<std::string> words_of(const Command& command, const po::options_description& own) {
    std::vector<std::string> words;
    for (const auto& option : own.options()) {
        const std::string name = "--" + option->long_name();
        const po::variable_value& value = command.values[option->long_name()];
        if (value.empty() || value.defaulted()) continue;
        if (const auto* text = boost::any_cast<std::string>(&value.value()))
            words.push_back(name + "=" + *text);
        else if (const auto* number = boost::any_cast<std::int64_t>(&value.value()))
            words.push_back(fmt::format("{}={}", name, *number));
        else if (const auto* texts = boost::any_cast<std::vector<std::string>>(&value.value()))
            for (const std::string& one : *texts) words.push_back(name + "=" + one);
        else if (value.as<bool>())
            words.push_back(name);
    }
    return words;
}

}  // namespace

po::options_description tokenize_options() {
    po::options_description output("Output");
    output.add_options()("out", po::value<std::string>()->required()->value_name("NAME.bin"),
                         "file of the ids; documents go to NAME.idx")(
        "flat", po::bool_switch(), "no .idx: documents end with the token of --document-end");
    po::options_description all;
    all.add(corpus_options()).add(output).add(job_options());
    return all;
}

int tokenize_command(int argc, char** argv) {
    po::options_description options = tokenize_options();
    options.add(placement_options());
    const Command command = parse_command(argc, argv, "eckart tokenize CORPUS... --out NAME.bin [options]",
                                          "Tokenises a corpus once, to a Megatron or flat token file.",
                                          options, corpus_positional());
    if (!command.message.empty()) {
        std::cout << command.message;
        return exit_success;
    }
    const Placement placement = placement_of(command);
    const auto job = mpirun_command(placement, program_path("eckart-tokenize").string(),
                                    words_of(command, tokenize_options()));
    return run_logged(job, launch_environment(placement), "/dev/null").code;  // what it says is short
}

}  // namespace eckart::driver
