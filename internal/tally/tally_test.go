package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

// A run of two packages: one has a test of each kind, the other does not build.
const mixed = `make[1]: Entering directory
{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestGood"}
{"Action":"output","Package":"p","Test":"TestGood","Output":"noise of the good one\n"}
{"Action":"pass","Package":"p","Test":"TestGood/sub"}
{"Action":"pass","Package":"p","Test":"TestGood"}
{"Action":"output","Package":"p","Test":"TestBad","Output":"why it is bad\n"}
{"Action":"fail","Package":"p","Test":"TestBad"}
{"Action":"output","Package":"p","Test":"TestReal","Output":"MYSQL is not set\n"}
{"Action":"skip","Package":"p","Test":"TestReal"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}
{"ImportPath":"q","Action":"build-output","Output":"q.go:1: undefined: x\n"}
{"ImportPath":"q","Action":"build-fail"}
{"Action":"start","Package":"q"}
{"Action":"fail","Package":"q","FailedBuild":"q"}
{"Action":"skip","Package":"no-tests"}
`

func TestCountsAndShows(t *testing.T) {
	var out bytes.Buffer
	got, err := read(strings.NewReader(mixed), &out)
	if err != nil {
		t.Fatal(err)
	}
	if want := (counts{Passed: 2, Failed: 2, Skipped: 1}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, text := range []string{"why it is bad", "MYSQL is not set", "FAIL\tp", "q.go:1: undefined: x", "make[1]"} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("%q is not shown:\n%s", text, out.String())
		}
	}
	if strings.Contains(out.String(), "noise") {
		t.Errorf("the output of a good test is shown:\n%s", out.String())
	}
}

func TestARunWithoutTestsIsAFailure(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "an error of make": "make: *** [test] Error 1\n",
		"no tests": `{"Action":"skip","Package":"p"}` + "\n",
	} {
		var out bytes.Buffer
		if got, err := read(strings.NewReader(text), &out); err != nil || got.Failed != 1 {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
}

func TestAPackageThatDiesOutsideATestCountsOnce(t *testing.T) {
	text := `{"Action":"pass","Package":"p","Test":"TestGood"}
{"Action":"output","Package":"p","Test":"TestHangs","Output":"panic: test timed out\n"}
{"Action":"fail","Package":"p"}
`
	var out bytes.Buffer
	if got, err := read(strings.NewReader(text), &out); err != nil || got != (counts{Passed: 1, Failed: 1}) {
		t.Errorf("got %v, %v", got, err)
	}
	if !strings.Contains(out.String(), "timed out") {
		t.Errorf("why it died is not shown:\n%s", out.String())
	}
}

func TestSumsOverRuns(t *testing.T) {
	file := filepath.Join(t.TempDir(), "counts")
	var out bytes.Buffer
	for range 2 {
		if err := run("add", file, strings.NewReader(mixed), &out); err != nil {
			t.Fatal(err)
		}
	}
	out.Reset()
	if err := run("sum", file, nil, &out); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "4 passed, 4 failed, 2 skipped\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := run("divide", file, nil, &out); err == nil {
		t.Error("no error for an unknown command")
	}
}
