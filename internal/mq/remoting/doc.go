// Package remoting speaks RocketMQ's wire protocol: the frames that clients,
// name servers and brokers exchange, what is in them, and a small client.
//
// A frame is one Command, a request or the answer to one:
//
//	int32   length of everything that follows
//	byte    how the header is encoded: 0 JSON, 1 RocketMQ's binary form
//	int24   length of the header
//	header  code, opaque, flags, remark and named string fields
//	body    whatever the code says; mostly JSON, or a message's bytes
//
// A request's opaque is a number that its answer repeats, so answers may come in
// any order. The server sends requests too (to check a transaction, to announce
// a change of a group); Conn ignores those.
//
// What the bodies hold has types, too: StoredMessage, a message as brokers keep
// it; BatchEntry, one of several that are sent together; and the JSON objects,
// which DecodeBody reads. Credentials sign requests.
//
// The protocol trusts its peers and this package does not: every length is
// checked before memory is taken for it, and a frame that contradicts itself is
// an error, never a panic. Frames are written with JSON headers, which every
// peer can read; both kinds are read.
package remoting
