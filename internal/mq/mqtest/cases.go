package mqtest

// cases is the list: a name that stays and a function that asserts.
func cases() []testCase {
	return []testCase{
		{name: "topics/create", run: topicsCreate},
		{name: "topics/route", run: topicsRoute},
		{name: "topics/compact-route", run: topicsCompactRoute},
		{name: "topics/widen", run: topicsWiden},
		{name: "topics/unknown", run: topicsUnknown},
		{name: "topics/delete", run: topicsDelete},
		{name: "topics/permissions", run: topicsPermissions},
		{name: "topics/read-more-than-write", run: topicsReadMoreThanWrite},
		{name: "topics/names", run: topicsNames},
		{name: "topics/attributes", run: topicsAttributes},

		{name: "send/sync", run: sendSync},
		{name: "send/answers", run: sendAnswers},
		{name: "send/unique-key", run: sendUniqueKey},
		{name: "send/any-queue", run: sendAnyQueue},
		{name: "send/queue-out-of-range", run: sendQueueOutOfRange},
		{name: "send/binary", run: sendBinary},
		{name: "send/large", run: sendLarge},
		{name: "send/too-large", run: sendTooLarge},
		{name: "send/compressed", run: sendCompressed},
		{name: "send/one-way-frame", run: sendOneWayFrame},
		{name: "send/twice", run: sendTwice},
		{name: "send/concurrently", run: sendConcurrently},

		{name: "batch/frame", run: batchFrame},
		{name: "batch/ignores-delay", run: batchIgnoresDelay},
		{name: "batch/refused", run: batchRefused},

		{name: "pull/found", run: pullFound},
		{name: "pull/outside", run: pullOutside},
		{name: "pull/many", run: pullMany},
		{name: "pull/wakes", run: pullWakes},
		{name: "pull/wakes-for-what-matches", run: pullWakesForWhatMatches},
		{name: "pull/times-out", run: pullTimesOut},
		{name: "pull/commits-offset", run: pullCommitsOffset},
		{name: "pull/refused", run: pullRefused},
		{name: "pull/by-subscription", run: pullBySubscription},

		{name: "offsets/unknown", run: offsetsUnknown},
		{name: "offsets/update", run: offsetsUpdate},
		{name: "offsets/one-way", run: offsetsOneWay},
		{name: "offsets/ends", run: offsetsEnds},
		{name: "offsets/by-time", run: offsetsByTime},
		{name: "offsets/new-group", run: offsetsNewGroup},

		{name: "groups/create", run: groupsCreate},
		{name: "groups/delete", run: groupsDelete},
		{name: "groups/members", run: groupsMembers},
		{name: "groups/notified", run: groupsNotified},
		{name: "groups/unknown-in-heartbeat", run: groupsUnknownInHeartbeat},
		{name: "groups/rebalance-2", run: groupsRebalance(2)},
		{name: "groups/rebalance-3", run: groupsRebalance(3)},
		{name: "groups/two", run: groupsTwo},
	}
}
