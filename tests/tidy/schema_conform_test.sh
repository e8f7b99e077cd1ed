#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# schema_conform_test.sh SCHEMA_COMPARE: proves that an incompatible change of a schema is caught and a compatible one is
# not.  On a schema of its own, so that no change of ours can make it moot.
set -eu
cd "$(dirname "$0")/../.."
compare=$1
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
cases=0
failures=0

mkdir "$room/before" "$room/now"
cat >"$room/before/part.fbs" <<'END'
namespace shop;
enum Colour : ubyte { red = 0, green = 1, blue = 3 }
struct Place { x:double; y:double; }
table Print { name:string; layers:int = 5; colour:Colour; old:int (deprecated); speed:double = null; }
table Move { to:Place; by:[string]; }
END
cat >"$room/before/event.fbs" <<'END'
include "part.fbs";
namespace shop;
union Payload { Print, Move }
table Envelope { id:ulong; machine:string (required); payload:Payload; }
root_type Envelope;
file_identifier "SHP1";
END

# Applies the sed expression to both files and checks the result against the first.
changed() {
  cases=$((cases + 1))
  cp "$room/before/"*.fbs "$room/now/"
  sed -i "$1" "$room/now/part.fbs" "$room/now/event.fbs"
  if [ -n "$1" ] && cmp -s "$room/before/part.fbs" "$room/now/part.fbs" &&
    cmp -s "$room/before/event.fbs" "$room/now/event.fbs"; then
    echo "this changes nothing: $1"
    failures=$((failures + 1))
  fi
  sh scripts/check_schema.sh "$compare" "$room/before" "$room/now" >"$room/out" 2>&1
}

accept() {
  changed "$1" || { echo "refused, but is compatible: $2"; cat "$room/out"; failures=$((failures + 1)); }
}

# refuse EXPRESSION WHAT [TEXT]: with TEXT in the message.
refuse() {
  if changed "$1"; then
    echo "let pass: $2"
    failures=$((failures + 1))
  elif ! grep -q -- "${3:-}" "$room/out"; then
    echo "refused, but not for '$3': $2"
    cat "$room/out"
    failures=$((failures + 1))
  fi
}

accept '' 'no change'
accept 's/speed:double = null;/& weight:double;/' 'a field at the end of a table'
accept 's/union Payload { Print, Move }/table Stop { why:string; } union Payload { Print, Move, Stop }/' 'a union member at the end'
accept 's/blue = 3/blue = 3, black = 4/' 'an enum value at the end'
accept 's/layers:int = 5;/layers:int = 5 (deprecated);/' 'a field deprecated'

refuse 's/name:string;/name:string (required);/' 'a field made required' 'required'
refuse 's/machine:string (required)/machine:string/' 'a field no longer required' 'required'
refuse 's/speed:double = null;/& weight:string (required);/' 'a new field that is required' 'new and required'
refuse 's/layers:int/sheets:int/' 'a field renamed' 'Print.layers'
refuse 's/name:string; layers:int = 5;/layers:int = 5; name:string;/' 'fields exchanged'
refuse 's/name:string;//' 'a field removed' 'Print.name'
refuse 's/layers:int = 5/layers:int = 6/' 'another default'
refuse 's/layers:int = 5/layers:long = 5/' 'another type' 'Print.layers'
refuse 's/by:\[string\]/by:[ubyte]/' 'another type of element' 'Move.by'
refuse 's/speed:double = null/speed:double/' 'a field no longer optional' 'Print.speed'
refuse 's/old:int (deprecated)/old:int/' 'a deprecated field used again' 'Print.old'
refuse 's/y:double; }/y:double; z:double; }/' 'a struct extended' 'struct'
refuse 's/{ Print, Move }/{ Move, Print }/' 'union members exchanged'
refuse 's/union Payload { Print, Move }/union Payload { Print }/' 'a union member removed' 'removed'
refuse 's/Move/Travel/' 'a table renamed' 'Move'
refuse 's/green = 1/teal = 1/' 'an enum value renamed' 'renamed'
refuse 's/green = 1/green = 1, lime = 2/' 'an enum value put between' 'not at the end'
refuse 's/Colour : ubyte/Colour : ushort/' 'an enum of another size'
refuse 's/SHP1/SHP2/' 'another file identifier' 'file_identifier'
refuse 's/root_type Envelope/root_type Print/' 'another root' 'root_type'

echo "$cases cases, $failures failures"
[ "$failures" -eq 0 ]
