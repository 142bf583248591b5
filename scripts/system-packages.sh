# Sourced: installs packages of the operating system without letting any of
# their services start.

# as_root COMMAND...: runs it with the rights that installing needs.
as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo "$@"; fi
}

# may_install: are we root, or may we become it? A password is asked for only
# where somebody can type it.
may_install() {
  [[ $(id -u) == 0 ]] && return 0
  command -v sudo >/dev/null || return 1
  sudo -n true 2>/dev/null || { [[ -t 0 ]] && sudo true; }
}

# no_main_cluster: Debian's package makes and starts a cluster of its own
# unless this is set before it is installed.
no_main_cluster() {
  as_root sh -c '
    set -e
    mkdir -p /etc/postgresql-common
    file=/etc/postgresql-common/createcluster.conf
    touch "$file"
    sed -i "/^[#[:space:]]*create_main_cluster/d" "$file"
    echo "create_main_cluster = false" >>"$file"'
}

# apt_install PACKAGE...: the guard makes Debian start no service that a
# package brings; one that was there before stays.
apt_install() {
  as_root sh -c '
    set -e
    guard=/usr/sbin/policy-rc.d
    if [ ! -e "$guard" ]; then
      trap "rm -f $guard" EXIT
      printf "#!/bin/sh\nexit 101\n" >"$guard"
      chmod 755 "$guard"
    fi
    export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1
    apt-get update -q </dev/null
    apt-get install -q -y --no-install-recommends -o Dpkg::Options::=--force-confold "$@" </dev/null' sh "$@"
}

# pg_found: is there a PostgreSQL server that internal/lab/pglab would find?
pg_found() {
  local dir
  for dir in ${ESTATE_PG_BIN:+"$ESTATE_PG_BIN"} /usr/lib/postgresql/*/bin /usr/pgsql-*/bin; do
    [[ -x $dir/initdb && -x $dir/postgres ]] && return 0
    [[ -n ${ESTATE_PG_BIN:-} ]] && return 1
  done
  command -v initdb >/dev/null && command -v postgres >/dev/null
}
