# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The running product, as ./run keeps it: Mosquitto, the simulated shop if there is no configuration, and Millrace.
# Reads and settles ./run's variables config, data, http, mqtt_port.

millrace=build/release/cli/millrace
broker_url=''    # where Millrace finds the broker
own_broker=1     # "" if the configuration names a broker elsewhere
stop_seconds=20  # for Millrace to close its log
parts=()         # process groups in the order of their start
declare -A names=()

# Fills in what no option said, and refuses what cannot be.
settle_surroundings() {
  if [[ -z $config && -e millrace.toml ]]; then config=$PWD/millrace.toml; fi
  [[ -z $config || (-f $config && -r $config) ]] || fail 2 "$config: no such file, or not readable"
  data=${data:-${MILLRACE_HUB_DATA_DIR:-$(configured hub data_dir)}}
  data=$(realpath -m "${data:-data}")
  http=${http:-${MILLRACE_HTTP_LISTEN:-$(configured http listen)}}
  http=${http:-127.0.0.1:8080}
  [[ $http =~ ^(.+):([0-9]+)$ ]] || fail 2 "--http '$http': expected HOST:PORT, for example 127.0.0.1:8080"
  http_host=${BASH_REMATCH[1]} http_port=${BASH_REMATCH[2]}
  check_port --http "$http_port"
  settle_broker
}

configured() { [[ -z $config ]] || value_of "$config" "$1" "$2"; }

check_port() {
  if [[ ! $2 =~ ^[1-9][0-9]{0,4}$ ]] || (($2 > 65535)); then
    fail 2 "$1: '$2' is not a port, expected 1 to 65535"
  fi
}

# The broker is ours unless the configuration or the environment names one on another machine, or one with TLS.
settle_broker() {
  if [[ -z $mqtt_port ]]; then
    broker_url=${MILLRACE_MQTT_URL:-$(configured mqtt url)}
    if [[ -z $broker_url ]]; then
      mqtt_port=1883
    elif [[ $broker_url =~ ^mqtt://(127\.0\.0\.1|localhost)(:([0-9]+))?/?$ ]]; then
      mqtt_port=${BASH_REMATCH[3]:-1883}
    else
      own_broker=''
      return
    fi
  fi
  check_port --mqtt-port "$mqtt_port"
  broker_url=mqtt://127.0.0.1:$mqtt_port
}

# Takes the data folder for this run and makes sure that the ports are free.
claim_surroundings() {
  state=$data/run
  mkdir -p "$state" 2>/dev/null || fail 2 "--data: cannot make the folder $state"
  exec 8>"$state/lock"
  flock -n 8 || fail 2 "another ./run uses $data; choose another folder with --data"
  check_free
}

check_free() {
  ! taken "${http_host//[][]/}" "$http_port" || fail 2 "$http is taken by another program; choose another with --http"
  [[ -z $own_broker ]] || ! taken 127.0.0.1 "$mqtt_port" ||
    fail 2 "port $mqtt_port is taken by another program, perhaps another Mosquitto; choose another with --mqtt-port"
}

# start NAME COMMAND...: a part of the product, its output in NAME.log.  It does not inherit the lock.
start() {
  local name=$1
  shift
  start_group "$@" >"$state/$name.log" 2>&1 </dev/null 8>&-
  parts+=("$group")
  names[$group]=$name
  group=
}

start_everything() {
  check_free
  if [[ -n $own_broker ]]; then
    local broker
    broker=$(broker_program) || exit
    settle_broker_user
    prepare_broker "$state/mosquitto.conf" "$mqtt_port" "$data/broker" "$anonymous" "$broker_user" "$broker_password" \
      "${MILLRACE_MQTT_ROOT:-$(root_configured)}"
    # Mosquitto gives up root and with it the wish to end when ./run is killed; the shell around it does not.  (The
    # first wait ends with the signal, the second with Mosquitto.)
    # shellcheck disable=SC2016
    start mosquitto bash -c '"$@" & trap "kill $!" TERM; wait $!; wait $!' \
      mosquitto "$broker" -c "$state/mosquitto.conf"
    until taken 127.0.0.1 "$mqtt_port"; do all_alive || broken; sleep 0.05; done
  fi
  [[ -n $config ]] || start_demo_shop
  start millrace "$millrace" run --config "$config" --data "$data" --http "$http" --mqtt-url "$broker_url"
}

# The user by which the program speaks to our broker.  The demo shop is for this computer alone and needs none.
anonymous='' broker_user='' broker_password=''
settle_broker_user() {
  if [[ -z $config ]]; then
    anonymous=1
    return
  fi
  broker_user=${MILLRACE_MQTT_USERNAME:-$(configured mqtt username)}
  broker_password=${MILLRACE_MQTT_PASSWORD:-$(configured mqtt password)}
  [[ -z $broker_user ]] || return 0
  broker_user=millrace
  (umask 077 && mkdir -p "$data/broker")
  broker_password=$(password_of "$data/broker" "$broker_user")
  export MILLRACE_MQTT_USERNAME=$broker_user MILLRACE_MQTT_PASSWORD=$broker_password
}

root_configured() {
  local root
  root=$(configured mqtt root)
  echo "${root:-millrace}"
}

# Debian keeps it where only root's search path leads.
broker_program() { PATH=$PATH:/usr/sbin:/usr/local/sbin command -v mosquitto || fail 1 "mosquitto is not installed"; }

# Simulated machines on ports that the simulator finds, and a configuration that leads to them.
start_demo_shop() {
  local machines=$state/demo_machines.toml
  rm -f "$machines"
  start simulator "$millrace" sim --demo --config-out "$machines"
  until [[ -e $machines ]]; do all_alive || broken; sleep 0.05; done
  config=$state/demo.toml
  cat scripts/demo_site.toml "$machines" >"$config"
}

wait_until_ready() {
  local began=$SECONDS
  say "Starting (log: $state/millrace.log) ..."
  until [[ $(curl -s -o /dev/null -m 2 -w '%{http_code}' "http://$(visible_address)/health/ready") == 200 ]]; do
    all_alive || broken
    sleep 0.1
    if ((SECONDS - began >= 30)); then
      began=$SECONDS
      say "  not ready yet: $(curl -s -m 2 "http://$(visible_address)/health/ready" | head -c 300)"
    fi
  done
}

# Where this machine itself reaches what listens on every address.
visible_address() { sed 's/^0\.0\.0\.0:/127.0.0.1:/; s/^\[::\]:/[::1]:/' <<<"$http"; }

all_alive() {
  local part
  for part in "${parts[@]}"; do kill -0 "$part" 2>/dev/null || return 1; done
}

# Waits for a signal, or for the end of a part, which is the end of all.
stay() {
  wait -n "${parts[@]}" || true
  broken
}

# A part has ended by itself: says which and why, stops the others, and passes on that the configuration was wrong.
broken() {
  local part code=0
  trap '' INT TERM HUP
  for part in "${parts[@]}"; do
    kill -0 "$part" 2>/dev/null && continue
    wait "$part" || code=$?
    tail -n 5 "$state/${names[$part]}.log" >&2
    say "run: ${names[$part]} ended (exit code $code); the whole log is $state/${names[$part]}.log"
    break
  done
  stop_all || true
  ((code == 2)) && exit 2
  exit 1
}

# On request: 0 if everything was up and ended in order.
interrupted() {
  trap '' INT TERM HUP
  end_script
  ((${#parts[@]})) || exit "$1"
  say "Stopping ..."
  if stop_all; then exit 0; else exit 1; fi
}

# Ends the parts, the last started first, so that Millrace can still say goodbye to the broker.  False if one had to be
# killed or ended with an error.
stop_all() {
  local i part code clean=0
  for ((i = ${#parts[@]} - 1; i >= 0; --i)); do
    part=${parts[i]} code=0
    end_group "$part" "$stop_seconds" || say "run: ${names[$part]} did not end within $stop_seconds s and was killed"
    wait "$part" || code=$?
    ((code == 0)) || clean=1
  done
  return "$clean"
}
