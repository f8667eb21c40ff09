// Package archtest keeps the shape of the code: who may import whom, where time
// and SQL may appear, and how long a file or a function may grow. It has tests
// only. Every rule carries the reason that its failure prints.
package archtest
