#!/usr/bin/env bash
# Lets this Linux machine check, lint and link tidemark for macOS: `scripts/darwin-setup.sh [DEST]`, then `. DEST/env.sh`,
# then plain `cargo check|clippy|build --target aarch64-apple-darwin` (or x86_64-apple-darwin). DEST is target/darwin by default.
#
# A target needs three things. Its standard library is built here from Rust's own source, as Debian packs it: the source must be
# of exactly the compiler's version. Its linker is the rust-lld that comes with the compiler. Apple's libraries are stood for
# by stubs (scripts/darwin/stubs.py). What this proves is that the code compiles, and that every symbol it
# imports is one that the list names; nothing runs.
#
# A second run with the same compiler only writes the stubs anew.
set -euo pipefail

readonly TARGETS=(aarch64-apple-darwin x86_64-apple-darwin)
# The oldest macOS that tidemark supports; rustc writes it into the binary's load commands.
readonly DEPLOYMENT_TARGET=13.0
# Where Debian keeps the sources of several recent compilers side by side.
readonly SUITE=trixie-backports
# Part of the name of what is built: raise it when the way in which the library is built changes.
readonly RECIPE=2

main() {
  repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
  mkdir -p "${1:-$repository/target/darwin}"
  dest=$(cd "${1:-$repository/target/darwin}" && pwd)
  [[ $dest != *[[:space:]]* ]] || fail "cargo cannot pass a path with a space to the linker: $dest"
  # What is meant for the project's own build must not reach the standard library's.
  unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET CARGO_BUILD_RUSTFLAGS

  local compiler host
  compiler=$(rustc -vV)
  version=$(awk '$1 == "release:" { print $2 }' <<<"$compiler")
  host=$(awk '$1 == "host:" { print $2 }' <<<"$compiler")
  linker=$(rustc --print sysroot)/lib/rustlib/$host/bin/rust-lld
  [[ -x $linker ]] || fail "the toolchain has no $linker: install Rust by rustup, whose toolchains bring it"

  # The folder is named after what the library is made of: cargo does not know that crates depend on it, but it does see that the compiler's
  # arguments changed.
  sysroot=$dest/sysroot/$(sha256sum <<<"$RECIPE $compiler" | cut -c1-12)
  if [[ ! -f $sysroot/complete ]]; then
    rm -rf "$dest/sysroot"
    fetch_source
    local target
    for target in "${TARGETS[@]}"; do build_library "$target"; done
    touch "$sysroot/complete"
  fi
  write_stubs
  write_environment
}

# Rust's `library` folder of the compiler's version, into $dest/source-VERSION/library.
fetch_source() {
  source=$dest/source-$version
  [[ -f $source/library/std/Cargo.toml ]] && return
  rm -rf "$source" "$source.partial"
  mkdir -p "$source.partial"
  # The archive is what to fall back on when Debian no longer carries the version.
  local archive=$repository/../shared/toolchain/library-$version.tar.xz
  if ! fetch_from_debian "$source.partial"; then
    [[ -f $archive ]] || fail "Debian ($SUITE) has no rust-src $version, and there is no $archive"
    echo "darwin-setup: no rust-src $version from Debian, using $archive" >&2
    tar -xJf "$archive" -C "$source.partial"
  fi
  mv "$source.partial" "$source"
}

# Unpacks `library` from Debian's rust-src into $1. The package itself is not installed: it conflicts with rustup. A configuration
# of its own keeps apt from touching the machine's sources; apt checks the signature as ever.
fetch_from_debian() {
  command -v apt-get >/dev/null || return
  local mirror apt=$dest/apt
  # shellcheck disable=SC2016 # $(REPO_URI) is apt's own word.
  mirror=$(apt-get indextargets --format '$(REPO_URI)' | awk '/\/debian\/?$/ { print; exit }')
  [[ -n $mirror ]] || return
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $SUITE main" >"$apt/sources.list"
  cat >"$apt/apt.conf" <<EOF
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State::Lists "$apt/lists";
Dir::Cache "$apt/cache";
Acquire::Languages "none";
Acquire::Retries "3";
APT::Sandbox::User "root";
EOF
  (
    export APT_CONFIG=$apt/apt.conf
    apt-get update -qq || exit
    revision=$(apt-cache madison rust-src | awk -v version="$version+" 'index($3, version) == 1 { print $3; exit }')
    [[ -n $revision ]] || exit
    cd "$apt" && apt-get download -qq "rust-src=$revision"
  ) || return
  local packages=("$apt"/rust-src_*.deb)
  [[ -f ${packages[0]} ]] || return
  dpkg --fsys-tarfile "${packages[0]}" |
    tar -x -C "$1" --strip-components=4 --wildcards './usr/src/rustc-*/library/*' || return
  rm -rf "$apt"
}

# Builds std and test for target $1 into the sysroot. RUSTC_BOOTSTRAP opens the unstable -Zbuild-std to this build alone: crates'
# build scripts look at the variable, so the project's own code is never built with it.
build_library() {
  local crate=$dest/library-build libraries=$sysroot/lib/rustlib/$1/lib
  mkdir -p "$crate/src" "$libraries"
  printf '#![no_std]\n' >"$crate/src/lib.rs"
  cat >"$crate/Cargo.toml" <<'EOF'
[package]
name = "library-build"
version = "0.0.0"
edition = "2024"

[workspace]

[profile.release]
debug = false
EOF
  echo "darwin-setup: building the standard library $version for $1" >&2
  (
    cd "$crate"
    # What is shipped is optimised as one program, for which the compiler looks for the library's bitcode; cargo leaves it out by default.
    RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Cembed-bitcode=yes __CARGO_TESTS_ONLY_SRC_ROOT=$source/library CARGO_TARGET_DIR=$crate/target \
      cargo build --quiet --release -Zbuild-std=std,panic_abort,test --target "$1"
  )
  cp "$crate/target/$1/release/deps/"lib*.rlib "$libraries/"
  rm -rf "$libraries"/liblibrary_build-*.rlib "$crate"
}

# The stubs stand in a folder named after what they say: cargo does not know that a link depends on them, but it does see that
# the linker's arguments changed.
write_stubs() {
  local scripts=$repository/scripts/darwin digest
  digest=$(cat "$scripts/symbols.txt" "$scripts/stubs.py" | sha256sum | cut -c1-12)
  sdk=$dest/sdk/$digest
  [[ -d $sdk ]] && return
  rm -rf "$dest/sdk"
  python3 "$scripts/stubs.py" "$scripts/symbols.txt" "$sdk.partial"
  mv "$sdk.partial" "$sdk"
}

write_environment() {
  local target flags
  flags="--sysroot $sysroot -Clinker-flavor=ld64.lld -Clinker=$linker -Clink-arg=-L$sdk/usr/lib"
  {
    echo "export SDKROOT='$sdk' MACOSX_DEPLOYMENT_TARGET=$DEPLOYMENT_TARGET"
    for target in "${TARGETS[@]}"; do
      target=${target//-/_}
      echo "export CARGO_TARGET_${target^^}_RUSTFLAGS='$flags'"
    done
  } >"$dest/env.sh"
}

fail() {
  echo "darwin-setup: $*" >&2
  exit 1
}

main "$@"
