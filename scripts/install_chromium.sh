#!/usr/bin/env bash
# Install a Chromium for the browser test where there is none: Debian's, or else Playwright's own.
set -euo pipefail
command -v chromium || command -v chromium-browser || command -v google-chrome && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
  apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends chromium fonts-dejavu-core && exit 0
fi
"${PYTHON:-python3}" -m playwright install chromium
