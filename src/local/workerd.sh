#!/bin/sh
# workerd, ended with the process that started it: it notices nothing itself when that one is killed,
# and would keep port and folder. The watcher looks once a second, and ends with workerd.
parent=$PPID
(
  while kill -0 $$; do
    kill -0 "$parent" || kill -9 $$
    sleep 1
  done
) </dev/null >/dev/null 2>&1 3>&- &
exec "$STARLING_WORKERD" "$@"
