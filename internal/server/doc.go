// Package server is the gRPC server that both services use, with a small HTTP
// listener for operators beside it.
//
// Every call passes one interceptor: a panic becomes Internal, an error becomes
// what a client may see of it (package apierror) with the full text in the log
// only, and a unary call's context ends before the caller's deadline does, so
// that the caller gets an answer that says "repeat" instead of a bare timeout. A
// stream has no time limit; it ends when the server drains, with an answer that says
// "resume".
//
// The health service says SERVING when every check of the Readiness passes, and
// NOT_SERVING for good as soon as the server drains.
package server
