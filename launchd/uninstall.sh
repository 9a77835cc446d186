#!/bin/sh
# Removes tidemark from this Mac: `sudo "/Library/Application Support/Tidemark/uninstall.sh" [--purge]`.
#
# The daemon ends first and writes what it learnt. What was learnt, alerts that wait, the configuration and the logs stay, so that
# a new install goes on where this one ended; --purge removes them too. Configuration profiles belong to the MDM and stay.
set -u
label=com.tidemark.daemon
folder="/Library/Application Support/Tidemark"

if [ "$(/usr/bin/id -u)" -ne 0 ]; then
  echo "uninstall: run it with sudo" >&2
  exit 77
fi
case "${1:-}" in
  "") purge=no ;;
  --purge) purge=yes ;;
  *)
    echo "usage: uninstall.sh [--purge]" >&2
    exit 2
    ;;
esac

if /bin/launchctl print "system/$label" >/dev/null 2>&1; then
  /bin/launchctl bootout "system/$label"
  waited=0
  while /bin/launchctl print "system/$label" >/dev/null 2>&1; do
    if [ "$waited" -ge 25 ]; then
      echo "uninstall: $label does not end; nothing was removed" >&2
      exit 1
    fi
    /bin/sleep 1
    waited=$((waited + 1))
  done
fi

/bin/rm -f "/Library/LaunchDaemons/$label.plist" "/private/etc/newsyslog.d/$label.conf"
if [ "$(/usr/bin/readlink /usr/local/bin/tidemark)" = "$folder/Tidemark.app/Contents/MacOS/tidemark" ]; then
  /bin/rm -f /usr/local/bin/tidemark
fi
/bin/rm -rf "$folder/Tidemark.app"
/bin/rm -f "$folder/tidemark.toml.default"
/usr/sbin/pkgutil --forget "$label" >/dev/null 2>&1
if [ "$purge" = yes ]; then
  /bin/rm -rf "$folder" /Library/Logs/Tidemark
  echo "tidemark, its configuration and what it learnt are removed"
else
  /bin/rm -f "$folder/uninstall.sh"
  echo "tidemark is removed; $folder and /Library/Logs/Tidemark stay"
fi
