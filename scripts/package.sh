#!/usr/bin/env bash
# Builds the installer package for macOS on Linux, from a fresh machine: `scripts/package.sh [OPTIONS]`.
#
#   --output DIR                  where it goes; target/package by default
#   --fast                        a development build of the program, for checks of the package itself
#   --bundle-id ID                com.tidemark.daemon by default: identifier, label and preference domain
#   --entitled                    signs with the Endpoint Security entitlement. Without a provisioning profile of Apple's macOS starts
#                                 such a program only where System Integrity Protection is off
#   --team-id ID                  the team of the identity below
#   --provisioning-profile FILE   Apple's grant of the entitlement, for this team and bundle; implies --entitled
#   --p12 FILE                    a Developer ID Application identity; without it the signature is ad hoc
#   --installer-p12 FILE          a Developer ID Installer identity, which signs the package
#   --p12-password-file FILE      the password of both
#   --no-timestamp                signs without Apple's time server, for trials; notarisation refuses such a signature
#
# It links both targets (scripts/darwin-setup.sh), joins them into one universal program, assembles Tidemark.app around it, signs it with
# rcodesign, writes the package (scripts/darwin/pkg.py), and has all of it read back (scripts/check_package.py). What remains is
# notarisation, which is a conversation with Apple: docs/deploy.md. Paths are relative to the repository.
set -euo pipefail
readonly RCODESIGN_VERSION=0.29.0
readonly MINIMUM_OS=13.0
readonly TARGETS=(aarch64-apple-darwin x86_64-apple-darwin)

main() {
  cd "$(dirname "${BASH_SOURCE[0]}")/.."
  parse "$@"
  local version stage=$output/stage
  version=$(sed -n '/^\[package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
  rm -rf "$stage"
  mkdir -p "$stage"
  find_rcodesign
  build "$stage/tidemark"
  assemble "$stage" "$version"
  sign_app "$stage/root/Library/Application Support/Tidemark/Tidemark.app"
  local package=$output/tidemark-$version.pkg
  python3 scripts/darwin/pkg.py --root "$stage/root" --scripts "$stage/scripts" --identifier "$bundle" \
    --version "$version" --minimum-os "$MINIMUM_OS" --output "$package"
  sign_package "$package"
  local expect=(--identifier "$bundle" --version "$version" --minimum-os "$MINIMUM_OS")
  [[ -z $entitled ]] || expect+=(--entitled)
  [[ -z $team ]] || expect+=(--team-id "$team")
  python3 scripts/check_package.py "${expect[@]}" "$package"
}

parse() {
  output=target/package profile=dist bundle=com.tidemark.daemon
  entitled='' timestamp='' team='' provisioning='' identity='' installer='' password=''
  while (($#)); do
    case $1 in
      --fast) profile=dev ;;
      --entitled) entitled=yes ;;
      --no-timestamp) timestamp=none ;;
      --output | --bundle-id | --team-id | --provisioning-profile | --p12 | --installer-p12 | --p12-password-file)
        (($# > 1)) || fail "$1 needs a value"
        case $1 in
          --output) output=$2 ;;
          --bundle-id) bundle=$2 ;;
          --team-id) team=$2 ;;
          --provisioning-profile) provisioning=$2 entitled=yes ;;
          --p12) identity=$2 ;;
          --installer-p12) installer=$2 ;;
          --p12-password-file) password=$2 ;;
        esac
        shift
        ;;
      *) fail "unknown option $1" ;;
    esac
    shift
  done
  [[ $bundle =~ ^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$ ]] || fail "no bundle identifier: $bundle"
  [[ -z $team || $team =~ ^[A-Z0-9]{10}$ ]] || fail "no team identifier: $team"
  [[ -z $identity && -z $installer || -n $password ]] || fail "--p12 and --installer-p12 need --p12-password-file"
  [[ -z $provisioning || -n $identity && -n $team ]] || fail "--provisioning-profile needs --p12 and --team-id"
  if [[ -n $entitled && -z $provisioning ]]; then
    echo "package: entitled without a provisioning profile: macOS will not start it while System Integrity Protection is on" >&2
  fi
}

# rcodesign of the version that this was written with; built where it is not there, which takes some minutes.
find_rcodesign() {
  local tools=$PWD/target/package-tools
  rcodesign=$(command -v rcodesign || true)
  [[ -n $rcodesign && $("$rcodesign" --version) == *" $RCODESIGN_VERSION" ]] && return
  rcodesign=$tools/bin/rcodesign
  [[ -x $rcodesign ]] && return
  echo "package: building rcodesign $RCODESIGN_VERSION" >&2
  # In a subshell without the cross build's environment; the tool runs here.
  cargo install apple-codesign --version "$RCODESIGN_VERSION" --locked --no-default-features --root "$tools"
}

# The program for both kinds of Mac, as one file.
build() {
  bash scripts/darwin-setup.sh
  local target programs=() folder=$profile
  [[ $profile != dev ]] || folder=debug
  for target in "${TARGETS[@]}"; do
    # shellcheck source=/dev/null # written by darwin-setup.sh
    (. target/darwin/env.sh && cargo build --locked --target "$target" --features endpoint-security --profile "$profile")
    programs+=("target/$target/$folder/tidemark")
  done
  "$rcodesign" macho-universal-create --output "$1" "${programs[@]}"
  chmod 755 "$1"
}

# $1/root is what is laid down at /, $1/scripts what the installer runs.
assemble() {
  local home="$1/root/Library/Application Support/Tidemark"
  local contents="$home/Tidemark.app/Contents"
  local daemons="$1/root/Library/LaunchDaemons" rotation="$1/root/private/etc/newsyslog.d"
  mkdir -p "$contents/MacOS" "$daemons" "$rotation" "$1/scripts"
  mv "$1/tidemark" "$contents/MacOS/tidemark"
  named launchd/bundle/Info.plist | sed "s|<string>0\.0\.0</string>|<string>$2</string>|" >"$contents/Info.plist"
  named launchd/com.tidemark.daemon.plist >"$daemons/$bundle.plist"
  named launchd/com.tidemark.daemon.conf >"$rotation/$bundle.conf"
  named launchd/uninstall.sh >"$home/uninstall.sh"
  chmod 755 "$home/uninstall.sh"
  cp config/tidemark.toml "$home/tidemark.toml.default"
  local script
  for script in preinstall postinstall; do
    named "launchd/installer/$script" >"$1/scripts/$script"
    chmod 755 "$1/scripts/$script"
  done
  [[ -z $provisioning ]] || cp "$provisioning" "$contents/embedded.provisionprofile"
  named launchd/bundle/tidemark.entitlements >"$1/tidemark.entitlements"
  if [[ -n $team ]]; then
    # What a profile of Apple's is looked up by.
    python3 - "$1/tidemark.entitlements" "$team" "$bundle" <<'PYTHON'
import plistlib, sys

path, team, bundle = sys.argv[1:]
with open(path, "rb") as file:
    entitlements = plistlib.load(file)
entitlements["com.apple.application-identifier"] = f"{team}.{bundle}"
entitlements["com.apple.developer.team-identifier"] = team
with open(path, "wb") as file:
    plistlib.dump(entitlements, file)
PYTHON
  fi
}

# A file with the bundle's identifier in place of tidemark's own.
named() {
  sed "s/com\.tidemark\.daemon/$bundle/g" "$1"
}

# The hardened runtime is what notarisation asks for.
sign_app() {
  local options=(--code-signature-flags runtime)
  [[ -z $entitled ]] || options+=(--entitlements-xml-file "$output/stage/tidemark.entitlements")
  [[ -z $identity ]] || options+=(--p12-file "$identity" --p12-password-file "$password")
  [[ -z $identity || -z $team ]] || options+=(--team-name "$team")
  [[ -z $timestamp ]] || options+=(--timestamp-url "$timestamp")
  "$rcodesign" sign "${options[@]}" "$1"
}

sign_package() {
  [[ -n $installer ]] || return 0
  local options=(--p12-file "$installer" --p12-password-file "$password")
  [[ -z $timestamp ]] || options+=(--timestamp-url "$timestamp")
  "$rcodesign" sign "${options[@]}" "$1"
}

fail() {
  echo "package: $*" >&2
  exit 2
}

main "$@"
