package chart

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"testing"
)

func TestTicksAreWrittenByTheFormat(t *testing.T) {
	t.Parallel()
	labels := 0
	for _, tick := range Ticks(func(v float64) string { return fmt.Sprint(v, "!") }).Ticks(0, 10) {
		if tick.IsMinor() {
			continue
		}
		labels++
		if want := fmt.Sprint(tick.Value, "!"); tick.Label != want {
			t.Errorf("got %q, want %q", tick.Label, want)
		}
	}
	if labels < 2 {
		t.Errorf("%d labels", labels)
	}
}

func TestWriteFileReturnsWhatWentWrong(t *testing.T) {
	t.Parallel()
	fault := errors.New("no more curves")
	err := WriteFile(filepath.Join(t.TempDir(), "a.svg"), func(io.Writer) error { return fault })
	if !errors.Is(err, fault) {
		t.Errorf("got %v", err)
	}
	if err := WriteFile(filepath.Join(t.TempDir(), "none", "a.svg"), nil); err == nil {
		t.Error("a file in a folder that is not there was made")
	}
}

func TestThereIsAColorForEachCurve(t *testing.T) {
	t.Parallel()
	if Color(0) == Color(1) || Color(0) != Color(10) {
		t.Error(Color(0), Color(1), Color(10))
	}
}
