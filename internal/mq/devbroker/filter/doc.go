// Package filter decides which messages a subscription lets through, as a
// RocketMQ 5.3.3 broker does: by tags, "paid || shipped", or by an SQL92
// expression over the properties, "region = 'eu' AND amount BETWEEN 10 AND 99".
//
// # SQL92
//
//	a = 1, a <> 1, a > 1, a >= 1, a < 1, a <= 1
//	a BETWEEN 1 AND 9, a NOT BETWEEN 1 AND 9
//	a IN ('x', 'y'), a NOT IN ('x', 'y')
//	a CONTAINS 'x', a STARTSWITH 'x', a ENDSWITH 'x', each also with NOT
//	a IS NULL, a IS NOT NULL
//	NOT p, p AND q, p OR q, (p)
//
// Literals are 'text' with each quote in it doubled, 12, 12L, 1.5, 1e3, TRUE,
// FALSE and NULL. A sign may stand before a number, but nothing is calculated.
// Comments are /* this */ and -- this, up to the end of a line that is not the
// last one. Keywords have no case, names of properties do.
//
// A property is text. Next to a number it is read as one of the same kind, and
// two properties that are compared by < or > are both read as numbers. Text that
// cannot be read so fails the whole expression, even behind an OR, and the
// message is not delivered: "2.5" next to a whole number, 3000000000 next to one
// of 32 bits.
//
// What is compared with a missing property is unknown. NOT, AND and OR know that
// third value as SQL does, and what is unknown in the end is not delivered.
//
// Some of the broker's ways are not what one expects. They are kept:
//
//   - An expression ends where it can. In "a = 1 b = 2" nothing reads b = 2.
//   - NOT takes only what stands next to it: NOT a = 1 compares NOT a with 1 and
//     is never true, unlike NOT (a = 1).
//   - A name alone is a condition, false whatever its value and unknown without
//     one.
//   - For = only a missing left side is unknown. Without a, 1 = a is false and
//     1 <> a is true; without a and b, a = b is true.
//   - A condition can be compared: a = (b = 1) asks whether a is the text "true"
//     exactly if b is 1. TRUE = a fails, for text on that side is not converted.
//   - CONTAINS and its kin are false for a missing property and for empty text,
//     with NOT, too.
//   - There is no literal 0.0, nor another way to write 0 with a point.
//
// # Differences
//
// The real broker compares hashes of tags and leaves the tags themselves to the
// client. This package compares the tags. A consumer gets the same messages, but
// a pull may pass over some that the real broker would have sent.
//
// For the real broker the digits of any script make a whole number. Here only 0
// to 9 are digits.
//
// MaxLength and MaxDepth bound an expression here, and only the stack of a thread
// there.
package filter
