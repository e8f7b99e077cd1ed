# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Users and topics of the Mosquitto that ./run starts; to be sourced.  docs/broker.md says who may do what.

# Every user of ours; what each may do is in write_acl.
broker_users=(millrace adapters home-assistant openpnp devices)

# new_password: 32 characters of the system's randomness.
new_password() { head -c 24 /dev/urandom | base64 | tr '+/' '-_'; }

# password_of FOLDER USER: the user's password, made where there is none.  Readable by its owner alone.
password_of() {
  local file=$1/$2.password
  [[ -s $file ]] || (umask 077 && new_password >"$file")
  cat "$file"
}

# write_passwords FOLDER PRODUCT_USER PRODUCT_PASSWORD: FOLDER/passwords, hashed, for every user.  The program's own user and
# password may be those of the configuration.  Nothing secret becomes an argument of a command.
write_passwords() {
  local folder=$1 user
  (
    umask 077
    printf '%s:%s\n' "$2" "$3" >"$folder/passwords.new"
    for user in "${broker_users[@]}"; do
      [[ $user == "$2" ]] || printf '%s:%s\n' "$user" "$(password_of "$folder" "$user")" >>"$folder/passwords.new"
    done
  )
  mosquitto_passwd -U "$folder/passwords.new"
  mv "$folder/passwords.new" "$folder/passwords"
}

# write_acl FILE PRODUCT_USER ROOT
write_acl() {
  local v1=$3/v1
  cat >"$1" <<EOF
# Made by ./run at each start.
# The program itself: hub, and adapters of this computer, whose sensors may be on any topic.
user $2
topic readwrite #

# An adapters role on another computer.
user adapters
topic write $v1/ingest/#
topic read $v1/recorded/#
topic read $v1/config/#
topic read $v1/command/#
topic write $v1/result/#
topic readwrite $v1/status/#
topic write $v1/reply/#

# Home Assistant: sees everything that is public, asks for commands.
user home-assistant
topic read $v1/event/#
topic read $v1/state/#
topic read $v1/status/#
topic read $v1/result/#
topic readwrite $v1/reply/home-assistant/#
topic write $v1/command/#
topic readwrite homeassistant/#

# OpenPnP: asks for commands and hears what became of them.
user openpnp
topic write $v1/command/#
topic read $v1/result/#
topic read $v1/state/#
topic read $v1/status/#
topic readwrite $v1/reply/openpnp/#

# Plain sensors: everything but what is ours.
user devices
topic deny $3/#
topic deny homeassistant/#
topic readwrite #
EOF
}

# prepare_broker CONF PORT FOLDER ANONYMOUS PRODUCT_USER PRODUCT_PASSWORD ROOT: writes Mosquitto's configuration to CONF.  ANONYMOUS
# is "" unless everybody on this computer may do everything, as in the demo shop.
prepare_broker() {
  sed "s/^listener .*/listener $2 127.0.0.1/" mosquitto.conf >"$1"
  [[ -z $4 ]] || return 0
  (umask 077 && mkdir -p "$3")
  write_passwords "$3" "$5" "$6"
  write_acl "$3/acl" "$5" "$7"
  # Mosquitto reads both before it gives up being root, and again on SIGHUP, when it is another user.
  if ((EUID == 0)) && id mosquitto >/dev/null 2>&1; then chown mosquitto "$3" "$3/passwords" "$3/acl"; fi
  sed -i 's/^allow_anonymous .*/allow_anonymous false/' "$1"
  printf 'password_file %s\nacl_file %s\n' "$3/passwords" "$3/acl" >>"$1"
}
