#!/usr/bin/env bash
# Runs a command where RabbitMQ is that of another Debian suite: `with-rabbitmq.sh sid make test-messaging`. For root, on
# Debian alone: the packages come from where apt has its own from, and are unpacked into a folder of the cache, once; nothing
# is installed. In a mount namespace of the command's own, what starts and asks a node leads into that folder.
set -euo pipefail

(($# >= 2)) || { echo "usage: with-rabbitmq.sh <suite of Debian> <command>.." >&2; exit 2; }
suite=$1
shift
kept="${XDG_CACHE_HOME:-$HOME/.cache}/waypost-rabbitmq/$suite"
root=$kept/root scripts=$kept/scripts
# Where Debian's own scripts are, which tests call (servers/rabbit.rs, with-broker.sh).
readonly own=/usr/lib/rabbitmq/bin

unpack() {
  local mirror work=$kept/work apt package
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | head -n 1)
  rm -rf "$work" "$root"
  mkdir -p "$work"/{lists,cache}/partial "$work/cache/archives/partial" "$root"/{tmp,proc,dev,etc,usr/{bin,sbin,lib,lib64}}
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$work/sources.list"
  apt=(-qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/nonexistent -o Dir::State::lists="$work/lists"
    -o Dir::Cache="$work/cache" -o Dir::State::status=/dev/null -o APT::Install-Recommends=false)
  apt-get "${apt[@]}" update
  apt-get "${apt[@]}" -y --download-only install rabbitmq-server bash coreutils sed grep gawk procps libc-bin util-linux hostname >&2
  for package in bin sbin lib lib64; do ln -s "usr/$package" "$root/$package"; done
  for package in "$work"/cache/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$root" --keep-directory-symlink
  done
  ln -sf bash "$root/usr/bin/sh"
  ln -sf gawk "$root/usr/bin/awk"
  cp /etc/passwd /etc/group /etc/hosts "$root/etc/"
  chroot "$root" /sbin/ldconfig
  rm -rf "$work"
  touch "$kept/whole"
}

if [[ ! -e $kept/whole ]]; then unpack; fi
mkdir -p "$scripts"
for script in rabbitmq-server rabbitmqctl; do
  cat >"$scripts/$script" <<END
#!/bin/sh
exec chroot $root /bin/sh -c 'cd "\$0" && exec "\$@"' "\$PWD" $own/$script "\$@"
END
  chmod +x "$scripts/$script"
done
# shellcheck disable=SC2016 # the inner shell's variables
exec unshare --mount bash -euc '
  for folder in /tmp /proc /dev "$PWD"; do mkdir -p "$1$folder" && mount --rbind "$folder" "$1$folder"; done
  mount --bind "$2" "$3"
  shift 3
  exec "$@"' - "$root" "$scripts" "$own" "$@"
