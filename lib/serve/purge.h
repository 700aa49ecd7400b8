/*
 * purge.h - DELETE: takes a topic's messages away.
 *
 * put the record that purges -> wait until it is shown -> wipe, a slice a turn -> wipe copies ->
 * answer
 *
 * The request is postponed from step to step, and the connection notes where it is (struct
 * conn_purge). A client that leaves meanwhile changes nothing: what is purged is wiped all the
 * same, as topics that were emptied are freed (broker_release_emptied()).
 *
 * Where the store syncs before anyone is told, a second such record follows what was wiped, so that
 * the answer waits for a sync of that.
 */
#ifndef SSE_LIB_SERVE_PURGE_H
#define SSE_LIB_SERVE_PURGE_H

#include "lib/serve/server.h"

/* Handles DELETE of a topic. Sets ex.postponed where there is more to do. */
void serve_purge(struct server *s, struct conn *c, struct span topic);

#endif
