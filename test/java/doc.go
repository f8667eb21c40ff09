// Package java runs Apache's Java client and its admin tool, mqadmin, against a
// name server: they are what most others use, and they ask for more than the Go
// client does. What they do is in testdata: one file of scenes for each side of the
// client. The targets are the real broker, where the scenes prove themselves, and
// devbroker.
//
// It is skipped without ORDERFLOW_TEST_NAMESRV, the address of a real name server;
// without the jars of the stack ("make stack-up" downloads them; other ones can be
// named by ORDERFLOW_TEST_ROCKETMQ_JARS); and without a JDK 17. The real broker must
// be set like that of "make stack-up": short delays, early check-backs, SQL92 filters.
package java
