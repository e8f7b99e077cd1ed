#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the image starts: Millrace on /config/millrace.toml, or without one on simulated machines.  Data goes to /data.
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
exec millrace run --config "$config"
