#include "eckart/driver/command_line.hpp"

#include "eckart/base/error.hpp"
#include "eckart/base/memory_plan.hpp"
#include "eckart/mpi/collectives.hpp"
#include "eckart/version.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>

namespace eckart::driver {

namespace {

po::options_description with_common(const po::options_description& options) {
    po::options_description all;
    all.add(options);
    all.add_options()("config", po::value<std::string>()->value_name("FILE"),
                      "read options from FILE, one 'option = value' a line")("help,h", "show this text")(
        "version", "show the version");
    return all;
}

std::string help_text(const std::string& synopsis, const std::string& summary,
                      const po::options_description& options) {
    std::ostringstream text;
    text << "usage: " << synopsis << "\n\n" << summary << "\n" << options;
    return text.str();
}

void read_config(const std::string& path, const po::options_description& options, po::variables_map& values) {
    std::ifstream file(path);
    if (!file) throw UsageError("cannot open the configuration file {}", path);
    try {
        po::store(po::parse_config_file(file, options), values);
    } catch (const po::error& error) {
        throw UsageError("{}: {}", path, error.what());
    }
}

}  // namespace

Command parse_command(int argc, const char* const* argv, const std::string& synopsis,
                      const std::string& summary, const po::options_description& options,
                      const po::positional_options_description& positional) {
    const po::options_description all = with_common(options);
    Command command;
    try {
        po::store(po::command_line_parser(argc, argv)
                      .options(all)
                      .positional(positional)
                      .style(po::command_line_style::unix_style & ~po::command_line_style::allow_guessing)
                      .run(),
                  command.values);
        if (command.has("help")) command.message = help_text(synopsis, summary, all);
        if (command.has("version")) command.message = fmt::format("eckart {}\n", version);
        if (!command.message.empty()) return command;
        if (command.has("config")) read_config(command.get<std::string>("config"), options, command.values);
        po::notify(command.values);
    } catch (const po::error& error) {
        throw UsageError("{}; see --help", error.what());
    }
    return command;
}

po::options_description job_options() {
    po::options_description options("Running");
    options.add_options()("memory", po::value<std::string>()->value_name("SIZE"),
                          "memory cap of a rank, e.g. 4GiB (default: the node's share)")(
        "stage", po::value<std::string>()->value_name("I/N"),
        "number of this stage in a run, for the progress lines")(
        "status", po::value<std::string>()->value_name("FILE"), "keep the progress in FILE, as JSON");
    return options;
}

std::int64_t memory_per_rank(const Command& command, const mpi::Communicator& world) {
    const int on_node = world.split_by_node().size();
    if (command.has("memory")) return parse_bytes(command.get<std::string>("memory"));
    const std::int64_t share = available_memory() / 10 * 8 / on_node;
    return mpi::all_min(world, share);
}

Progress job_progress(const Command& command, const std::string& job, const mpi::Communicator& world) {
    if (!world.is_root()) return Progress::silent();
    int index = 0, count = 0;
    if (command.has("stage")) {
        const auto text = command.get<std::string>("stage");
        const char *begin = text.data(), *end = begin + text.size();
        const auto [slash, first] = std::from_chars(begin, end, index);
        const bool ok = first == std::errc() && slash != end && *slash == '/' &&
                        std::from_chars(slash + 1, end, count).ptr == end;
        if (!ok || index < 1 || index > count) throw UsageError("--stage '{}' is not of the form I/N", text);
    }
    return Progress::on_stderr(job, index, count,
                               command.has("status") ? command.get<std::string>("status") : "");
}

}  // namespace eckart::driver
