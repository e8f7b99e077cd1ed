// SPDX-License-Identifier: Apache-2.0
// Any topic that a broker may deliver.  The first line is the root that the topics are under.
#include "bus/topics.h"
#include "tests/fuzz/check.h"

using namespace millrace;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  const auto text = fuzz::as_text(data, size);
  const size_t line = text.find('\n');
  const Topics topics(line == std::string_view::npos ? "millrace" : std::string(text.substr(0, line)));
  const auto topic = line == std::string_view::npos ? text : text.substr(line + 1);
  const auto ingests = topics.producer_of_ingest(topic);
  const auto recorded = topics.producer_of_recorded(topic);
  fuzz::check(!ingests || topics.ingest(*ingests) == topic, "an ingest topic is built as it was parsed");
  fuzz::check(!recorded || topics.recorded(*recorded) == topic, "a recorded topic is built as it was parsed");
  fuzz::check(!ingests || ingests->find('/') == std::string::npos, "a producer is one level");
  fuzz::check(!ingests || !recorded, "a topic is of one kind");
  if (topic.empty() || topic.find('/') != std::string_view::npos) return 0;
  fuzz::check(topics.producer_of_ingest(topics.ingest(topic)) == topic, "what was built is parsed");
  fuzz::check(topics.producer_of_recorded(topics.recorded(topic)) == topic, "what was built is parsed");
  return 0;
}
