# Sourced by tests/run: which RabbitMQ and Redis the tests share, and the
# binaries that the private servers of the crash tests need.
# shellcheck shell=bash

# --- Handshakes: a port that is open says nothing about what listens there ---

# Reads $1 bytes from descriptor $2 and prints them in hexadecimal.
read_hex() {
  timeout 3 head -c "$1" <&"$2" | od -An -v -tx1 | tr -d ' \n'
}

# Writes the bytes given in hexadecimal to descriptor $2.
write_hex() {
  local escaped
  # shellcheck disable=SC2001
  escaped=$(sed 's/../\\x&/g' <<<"$1")
  # shellcheck disable=SC2059
  printf "$escaped" >&"$2"
}

to_hex() { printf '%s' "$1" | od -An -v -tx1 | tr -d ' \n'; }

# Whether an AMQP 0-9-1 broker at host $1, port $2 lets user $3 with password $4 in.
amqp_answers() (
  { exec 3<>"/dev/tcp/$1/$2"; } 2>/dev/null || exit 1
  trap '' PIPE
  printf 'AMQP\0\0\11\1' >&3 2>/dev/null
  start=$(read_hex 7 3) # frame header: method frame, channel 0, size
  [[ $start == 010000* && ${#start} == 14 ]] || exit 1
  [[ $(read_hex $((16#${start:6} + 1)) 3) == 000a000a* ]] || exit 1 # Connection.Start
  login=00$(to_hex "$3")00$(to_hex "$4")
  payload=000a000b00000000$(printf '%02x' 5)$(to_hex PLAIN)
  payload+=$(printf '%08x' $((${#login} / 2)))${login}05$(to_hex en_US)
  write_hex "010000$(printf '%08x' $((${#payload} / 2)))${payload}ce" 3 2>/dev/null
  [[ $(read_hex 11 3) == 010000????????000a001e ]] # Connection.Tune: logged in
)

# Whether a Redis at host $1, port $2 answers a PING, after AUTH with password $3 if given.
redis_answers() (
  { exec 3<>"/dev/tcp/$1/$2"; } 2>/dev/null || exit 1
  trap '' PIPE
  if [[ -n ${3:-} ]]; then
    printf 'AUTH %s\r\n' "$3" >&3
    read -r -t 3 line <&3 && [[ $line == +OK* ]] || exit 1
  fi
  printf 'PING\r\n' >&3
  read -r -t 3 line <&3 && [[ $line == +PONG* ]]
)

# Splits URL $1 into url_host, url_port (default $2), url_user and url_password.
split_url() {
  local rest=${1#*://}
  rest=${rest%%/*}
  url_user='' url_password=''
  if [[ $rest == *@* ]]; then
    local login=${rest%@*}
    url_user=${login%%:*}
    [[ $login == *:* ]] && url_password=${login#*:}
    rest=${rest##*@}
  fi
  url_host=${rest%:*} url_port=$2
  [[ $rest == *:* ]] && url_port=${rest##*:}
  return 0
}

# --- Installing ---

# The Debian packages that are missing here, from "command:package" pairs.
missing_packages() {
  local pair
  for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null || [[ -x /usr/sbin/${pair%%:*} ]] || echo "${pair#*:}"
  done
}

# Installs packages from the distribution without starting the services in
# them: there may be no init, and the tests start their own.
install_packages() {
  local as_root=() policy=/usr/sbin/policy-rc.d placed=''
  command -v apt-get >/dev/null || fail "missing: $*. There is no apt-get here to install them with: install them yourself."
  if [[ $(id -u) != 0 ]]; then
    command -v sudo >/dev/null || fail "missing: $*. Install them as root: apt-get install $*"
    as_root=(sudo)
  fi
  say "installing from the distribution: $*"
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
    "${as_root[@]}" chmod 755 $policy
    placed=yes
  fi
  local status=0
  {
    "${as_root[@]}" apt-get update &&
      "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" </dev/null
  } >"$scratch/apt.log" 2>&1 || status=$?
  [[ -z $placed ]] || "${as_root[@]}" rm -f $policy
  [[ $status == 0 ]] || {
    tail -n 40 "$scratch/apt.log" >&2
    fail "apt-get could not install: $*"
  }
}

# --- Choosing ---

free_port() {
  local port
  # Below the ports that outgoing connections get, so that none takes it first.
  while port=$((20000 + RANDOM % 12000)); do
    (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

# Waits until the command given answers, at most a minute; fails with the output kept in $1.
await() {
  local output=$1 deadline=$((SECONDS + 60))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || {
      cat "$output" >&2
      fail "a private server did not answer within a minute: $*"
    }
    sleep 0.1
  done
}

start_private_redis() {
  local port
  port=$(free_port)
  mkdir -p "$scratch/redis"
  # Held open by this shell and those it starts: the server ends with the last of them.
  exec {redis_leash}> >(exec tests/support/private-server redis "$scratch/redis" "$port" >"$scratch/redis.out" 2>&1)
  private_servers+=($!)
  await "$scratch/redis.out" redis_answers 127.0.0.1 "$port"
  export PRISM_TEST_REDIS_URL=redis://127.0.0.1:$port
}

start_private_rabbitmq() {
  local port
  port=$(free_port)
  mkdir -p "$scratch/rabbitmq"
  exec {rabbitmq_leash}> >(exec tests/support/private-server rabbitmq "$scratch/rabbitmq" "$port" "$(free_port)" "$(free_port)" >"$scratch/rabbitmq.out" 2>&1)
  private_servers+=($!)
  await "$scratch/rabbitmq.out" amqp_answers 127.0.0.1 "$port" guest guest
  export PRISM_TEST_AMQP_URL=amqp://guest:guest@127.0.0.1:$port/%2f
}

# Ends the private servers and waits until they are gone.
stop_private_servers() {
  [[ -z ${rabbitmq_leash:-} ]] || exec {rabbitmq_leash}>&-
  [[ -z ${redis_leash:-} ]] || exec {redis_leash}>&-
  local server
  for server in "${private_servers[@]}"; do wait "$server" 2>/dev/null || true; done
}

choose_rabbitmq() {
  if [[ -n ${PRISM_TEST_AMQP_URL:-} ]]; then
    split_url "$PRISM_TEST_AMQP_URL" 5672
    if [[ $PRISM_TEST_AMQP_URL == amqps:* ]]; then
      say "RabbitMQ: $url_host:$url_port, as PRISM_TEST_AMQP_URL says (TLS: not tried beforehand)"
    else
      amqp_answers "$url_host" "$url_port" "${url_user:-guest}" "${url_password:-guest}" ||
        fail "PRISM_TEST_AMQP_URL names $url_host:$url_port, where no RabbitMQ lets us in: start it, correct the variable, or unset it"
      say "RabbitMQ: $url_host:$url_port, as PRISM_TEST_AMQP_URL says"
    fi
  elif [[ -z ${PRISM_TEST_PRIVATE:-} ]] && amqp_answers 127.0.0.1 5672 guest guest; then
    export PRISM_TEST_AMQP_URL=amqp://guest:guest@127.0.0.1:5672/%2f
    say "RabbitMQ: the one on 127.0.0.1:5672"
  else
    start_private_rabbitmq
    say "RabbitMQ: a private one, ${PRISM_TEST_AMQP_URL#*@}, stopped at the end"
  fi
}

choose_redis() {
  if [[ -n ${PRISM_TEST_REDIS_URL:-} ]]; then
    split_url "$PRISM_TEST_REDIS_URL" 6379
    if [[ $PRISM_TEST_REDIS_URL == rediss:* ]]; then
      say "Redis:    $url_host:$url_port, as PRISM_TEST_REDIS_URL says (TLS: not tried beforehand)"
    else
      redis_answers "$url_host" "$url_port" "$url_password" ||
        fail "PRISM_TEST_REDIS_URL names $url_host:$url_port, where no Redis answers: start it, correct the variable, or unset it"
      say "Redis:    $url_host:$url_port, as PRISM_TEST_REDIS_URL says"
    fi
  elif [[ -z ${PRISM_TEST_PRIVATE:-} ]] && redis_answers 127.0.0.1 6379; then
    export PRISM_TEST_REDIS_URL=redis://127.0.0.1:6379
    say "Redis:    the one on 127.0.0.1:6379"
  else
    start_private_redis
    say "Redis:    a private one, ${PRISM_TEST_REDIS_URL#*//}, stopped at the end"
  fi
}
