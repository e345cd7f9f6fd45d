#pragma once

#include "eckart/driver/command_line.hpp"
#include "eckart/text/corpus.hpp"

namespace eckart::driver {

/// The options that say what a corpus is and how it is read: of every job that takes one.
po::options_description corpus_options();
/// Their values. Throws `UsageError` naming the one that does not exist.
text::CorpusOptions read_corpus_options(const Command& command);

}  // namespace eckart::driver
