// SPDX-License-Identifier: Apache-2.0
#include "net/http_client.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <mutex>

namespace millrace {
namespace {

constexpr size_t kMaxHeaderBytes = 256u << 10;  // of an answer

void start_curl_once() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Easy = std::unique_ptr<CURL, EasyDeleter>;
using HeaderList = std::unique_ptr<curl_slist, ListDeleter>;

// What the callbacks fill.
struct Answer {
  HttpResponse response;
  size_t max_body_bytes = 0;
  size_t header_bytes = 0;
  bool too_large = false;
};

std::string_view trimmed(std::string_view text) {
  size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

void add_header(Answer& answer, std::string_view line) {
  size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  std::string name(trimmed(line.substr(0, colon)));
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  std::string value(trimmed(line.substr(colon + 1)));
  if (name == "content-type") answer.response.content_type = value;
  answer.response.headers.emplace_back(std::move(name), std::move(value));
}

size_t on_header(char* bytes, size_t, size_t size, void* context) {
  auto& answer = *static_cast<Answer*>(context);
  std::string_view line(bytes, size);
  answer.header_bytes += size;
  if (answer.header_bytes > kMaxHeaderBytes) {
    answer.too_large = true;
    return 0;
  }
  // A new status line: what came before belonged to an interim answer such as 100.
  if (line.starts_with("HTTP/")) answer.response.headers.clear();
  add_header(answer, line);
  return size;
}

size_t on_body(char* bytes, size_t, size_t size, void* context) {
  auto& answer = *static_cast<Answer*>(context);
  if (size > answer.max_body_bytes - answer.response.body.size()) {
    answer.too_large = true;
    return 0;
  }
  answer.response.body.append(bytes, size);
  return size;
}

bool is_one_line(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7f; });
}

Result<HeaderList> header_list(const HttpClientRequest& request) {
  HeaderList list;
  auto append = [&](const std::string& line) {
    curl_slist* longer = curl_slist_append(list.get(), line.c_str());
    if (longer == nullptr) return false;
    if (!list) list.reset(longer);
    return true;
  };
  // Waiting for "100 Continue" costs a second with servers that do not know it; the type is the caller's business.
  bool ok = append("Expect:") && append("Content-Type:");
  for (const auto& [name, value] : request.headers) {
    if (name.empty() || name.find(':') != std::string::npos || !is_one_line(name) || !is_one_line(value)) {
      return make_error(Errc::kInvalidArgument, fmt::format("the header {} cannot be sent", name));
    }
    // curl's own way to say "present but empty" is a semicolon.
    ok = ok && append(value.empty() ? name + ";" : name + ": " + value);
  }
  if (!ok) return make_error(Errc::kIo, "no memory for the request's headers");
  return list;
}

Errc code_of(CURLcode code) {
  switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return Errc::kInvalidArgument;
    case CURLE_OPERATION_TIMEDOUT:
      return Errc::kTimeout;
    case CURLE_ABORTED_BY_CALLBACK:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_SSL_CONNECT_ERROR:
      return Errc::kUnavailable;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
      return Errc::kMalformed;
    default:
      return Errc::kIo;
  }
}

int on_progress(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const std::atomic<bool>*>(context)->load() ? 1 : 0;
}

void set_options(CURL* easy, const HttpClientRequest& request, const HeaderList& headers, Answer& answer) {
  long timeout_ms = static_cast<long>(std::max<int64_t>(1, request.timeout.count()));  // 0 would mean for ever
  curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_PROXY, "");  // whatever the environment says: these calls go to machines of the shop
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, timeout_ms);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &answer);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &answer);
  if (!request.ca_file.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, request.ca_file.c_str());
  if (request.cancelled != nullptr) {
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, const_cast<std::atomic<bool>*>(request.cancelled));
  }
  if (request.method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else if (request.body.empty() && request.method == "GET") {
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
  } else {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.data());
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
}

}  // namespace

std::optional<WallTime> parse_http_date(std::string_view text) {
  const time_t seconds = curl_getdate(std::string(text).c_str(), nullptr);
  if (seconds < 0) return std::nullopt;
  return from_unix_us(static_cast<int64_t>(seconds) * 1'000'000);
}

Result<HttpResponse> http_request(const HttpClientRequest& request) {
  bool is_method = !request.method.empty() && std::all_of(request.method.begin(), request.method.end(),
                                                          [](char c) { return c >= 'A' && c <= 'Z'; });
  if (!is_method) return make_error(Errc::kInvalidArgument, "the method must be a word in capitals, e.g. GET");
  start_curl_once();
  Easy easy(curl_easy_init());
  if (!easy) return make_error(Errc::kIo, "curl could not be started");
  auto headers = header_list(request);
  if (!headers) return headers.error();
  Answer answer;
  answer.response.content_type.clear();
  answer.max_body_bytes = request.max_body_bytes;
  set_options(easy.get(), request, *headers, answer);

  CURLcode code = curl_easy_perform(easy.get());
  // The URL is left out of messages: it may carry a token.
  if (answer.too_large) {
    return make_error(Errc::kTooLarge,
                      fmt::format("{}: the answer is larger than {} bytes", request.method, request.max_body_bytes));
  }
  if (code != CURLE_OK)
    return make_error(code_of(code), fmt::format("{}: {}", request.method, curl_easy_strerror(code)));
  long status = 0;
  curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
  answer.response.status = static_cast<int>(status);
  return std::move(answer.response);
}

}  // namespace millrace
