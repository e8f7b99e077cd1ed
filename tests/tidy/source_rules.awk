# SPDX-License-Identifier: Apache-2.0
# Rules on the text of single files.  Arguments: every text file of the project, as paths from the root.
# Prints one line for each breach; exit code 1 if there is one.

BEGIN {
  most_lines = 700
  code = "\\.(cc|h|fbs|cmake|awk|sh|ts|mts|vue|js|mjs|css)$|(^|/)CMakeLists\\.txt$"
  script = "^(run|test|\\.ci/run|scripts/[a-z_-]+)$|(^|/)Dockerfile$"
  # A word boundary before a call that is not a member, a part of a longer name or another namespace's.
  free = "(^|[^A-Za-z0-9_.>:])(std::|::)?"
  clock = "(system|steady|high_resolution)_clock::now|" free "(time ?\\( ?(nullptr|NULL|0|&)|gettimeofday ?\\(|clock_gettime ?\\()"
  chance = "random_device|" free "((s?rand|rand_r|getrandom) ?\\(|random ?\\(\\))|RAND_bytes"
  sleep = "this_thread::sleep|" free "(sleep|usleep|nanosleep) ?\\("
}

FNR == 1 {
  finish()
  file = FILENAME
  marked = 0
  in_block = 0
}

{ length_of_file = FNR }

FNR <= 3 && /SPDX-License-Identifier: Apache-2\.0/ { marked = 1 }

# Written so that this line does not find itself.
/(^|[^A-Za-z0-9_.\/-])\/(wor[k]|roo[t])\/[A-Za-z.]/ { complain("a path of one particular machine") }

/[ \t]$/ && FILENAME ~ /\.(cc|h|fbs|sh|awk|cmake|toml|yaml|txt)$/ { complain("a blank at the end of the line") }

FILENAME ~ /\.(cc|h)$/ && FILENAME !~ /^tests\// { check_calls(plain($0)) }

FILENAME ~ /\.(cc|h)$/ && /co_(await|return|yield)/ { complain("coroutines: g++ 12 destroys their temporaries twice") }

# The line without string literals and comments.
function plain(text,    start) {
  gsub(/\\"/, "", text)
  gsub(/"[^"]*"/, "\"\"", text)
  sub(/\/\/.*/, "", text)
  while (1) {
    if (in_block) {
      start = index(text, "*/")
      if (!start) return ""
      text = substr(text, start + 2)
      in_block = 0
    }
    start = index(text, "/*")
    if (!start) return text
    if (index(substr(text, start), "*/")) sub(/\/\*([^*]|\*+[^*\/])*\*+\//, " ", text)
    else { in_block = 1; return substr(text, 1, start - 1) }
  }
}

function check_calls(text) {
  if (text ~ clock && FILENAME != "bus/clock.cc") complain("time comes from an injected Clock")
  if (text ~ chance && FILENAME != "bus/random.cc") complain("chance comes from an injected Random")
  if (text ~ sleep && FILENAME != "bus/clock.cc") complain("no sleeping: wait on a condition with a deadline")
}

function complain(text) {
  print FILENAME ":" FNR ": " text
  bad = 1
}

function finish() {
  if (file == "") return
  if (file !~ code && file !~ script) return
  if (!marked) { print file ":1: no SPDX-License-Identifier in the first three lines"; bad = 1 }
  if (length_of_file > most_lines) { print file ": " length_of_file " lines, at most " most_lines; bad = 1 }
}

END {
  finish()
  exit bad
}
