#include "eckart/report/report.hpp"

#include "eckart/base/error.hpp"
#include "eckart/driver/command_line.hpp"
#include "eckart/driver/commands.hpp"
#include "eckart/matrix/context_file.hpp"
#include "eckart/report/inspect.hpp"

#include <iostream>

namespace eckart::driver {

namespace {

/// "label=directory", or a directory alone.
report::Run read_labelled(const std::string& text) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || std::filesystem::exists(text)) return report::read_run(text);
    return report::read_run(text.substr(equals + 1), text.substr(0, equals));
}

}  // namespace

int report_command(int argc, char** argv) {
    po::options_description options("Report");
    options.add_options()("run",
                          po::value<std::vector<std::string>>()->required()->value_name("[LABEL=]DIR..."),
                          "run directories (or the arguments)")(
        "out", po::value<std::string>()->required()->value_name("DIR"), "directory of the report")(
        "finished-only", po::bool_switch(), "leave out runs that are not finished")(
        "paper-curves", po::bool_switch(), "draw the curves of arXiv 2404.07647, figure 7, beneath");
    po::positional_options_description positional;
    positional.add("run", -1);
    const Command command =
        parse_command(argc, argv, "eckart report [LABEL=]DIR... --out DIR",
                      "One report on one or several runs: tables, pictures, a page.", options, positional);
    if (!command.message.empty()) {
        std::cout << command.message;
        return exit_success;
    }
    std::vector<report::Run> runs;
    for (const auto& text : command.get<std::vector<std::string>>("run")) try {
            runs.push_back(read_labelled(text));
        } catch (const Error& error) {
            if (!command.flag("finished-only")) throw;
            std::cerr << fmt::format("eckart: left out: {}\n", error.what());
        }
    const report::Report report = report::write_report(std::move(runs), command.get<std::string>("out"),
                                                       {.paper_curves = command.flag("paper-curves")});
    for (const std::string& warning : report.warnings) std::cerr << fmt::format("eckart: {}\n", warning);
    std::cout << report.text << "\nReport: " << std::filesystem::absolute(report.page).string() << '\n';
    return exit_success;
}

int inspect_command(int argc, char** argv) {
    po::options_description options("Inspect");
    options.add_options()("path", po::value<std::vector<std::string>>()->required()->value_name("PATH..."),
                          "artefacts (or the arguments)")("json", po::bool_switch(),
                                                          "as JSON, one line each")(
        "rows", po::bool_switch(), "rows of a matrix as text: context, tab, successors with counts")(
        "limit", po::value<std::int64_t>()->default_value(20)->value_name("N"), "rows to show");
    po::positional_options_description positional;
    positional.add("path", -1);
    const Command command = parse_command(
        argc, argv, "eckart inspect PATH...",
        "What an artefact is: format, shape, digest, provenance, complete or not.", options, positional);
    if (!command.message.empty()) {
        std::cout << command.message;
        return exit_success;
    }
    for (const auto& path : command.get<std::vector<std::string>>("path")) {
        if (command.flag("rows")) {
            matrix::show_rows(path, command.get<std::int64_t>("limit"), std::cout);
            continue;
        }
        const nlohmann::json facts = report::inspect(path);
        std::cout << (command.flag("json") ? facts.dump() + "\n" : report::inspection_text(facts));
    }
    return exit_success;
}

int dump_command(int argc, char** argv) {
    po::options_description options("Dump");
    options.add_options()("matrix", po::value<std::string>()->required()->value_name("DIR"),
                          "directory of a matrix made with --keep-contexts (or the argument)");
    po::positional_options_description positional;
    positional.add("matrix", 1);
    const Command command = parse_command(
        argc, argv, "eckart dump MATRIX_DIR",
        "Counts as plain text: a line an n-gram, its token ids, a tab, its count.", options, positional);
    if (command.message.empty())
        matrix::dump_counts(command.get<std::string>("matrix"), std::cout);
    else
        std::cout << command.message;
    return exit_success;
}

}  // namespace eckart::driver
