#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the image starts: Millrace on /config/millrace.toml, or without one on simulated machines.  Data goes to /data, the first key to /data/first_key.
# The broker is at MILLRACE_MQTT_URL.
set -eu
config=/config/millrace.toml
if [ ! -e "$config" ]; then
  machines=/tmp/demo_machines.toml
  config=/tmp/demo.toml
  rm -f "$machines"
  millrace sim --demo --config-out "$machines" &
  until [ -e "$machines" ]; do
    kill -0 "$!" || exit 1
    sleep 0.1
  done
  cat /etc/millrace/demo_site.toml "$machines" >"$config"
fi
# The port of a container is reached from outside of it, so there is a key from the start.
if [ ! -e "$MILLRACE_HUB_DATA_DIR/keys.json" ]; then
  (umask 077 && millrace keys create --data "$MILLRACE_HUB_DATA_DIR" --name first >"$MILLRACE_HUB_DATA_DIR/first_key")
  echo "The first key is in $MILLRACE_HUB_DATA_DIR/first_key: read it, keep it elsewhere, and remove the file." >&2
fi
exec millrace run --config "$config"
