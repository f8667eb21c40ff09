package devbroker

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each request code has a file of its own whose header says what it does, and
// DIFFERENCES.md has what the headers say about differences.
func TestEachRequestCodeHasAFile(t *testing.T) {
	t.Parallel()
	differences, err := os.ReadFile("DIFFERENCES.md")
	if err != nil {
		t.Fatal(err)
	}
	for code, served := range services() {
		files, err := filepath.Glob(fmt.Sprintf("%03d_*.go", code))
		if err != nil || len(files) != 1 {
			t.Errorf("code %d has the files %q, %v", code, files, err)
			continue
		}
		text, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		header := "\n// " + served.name + " (" + fmt.Sprint(code) + ") "
		for _, part := range []string{header, "\n// Asked by: ", "\n// Answers:  "} {
			if !strings.Contains(string(text), part) {
				t.Errorf("%s does not say %q", files[0], part)
			}
		}
		row := regexp.MustCompile(fmt.Sprintf(`(?m)^\| (\d+, )*%d(, \d+)* \|`, code))
		if strings.Contains(string(text), "\n// Differs:  ") != row.Match(differences) {
			t.Errorf("%s and DIFFERENCES.md do not agree whether there is a difference", files[0])
		}
	}
	files, err := filepath.Glob("[0-9][0-9][0-9]_*.go")
	if err != nil || len(files) != len(services()) {
		t.Errorf("%d files for %d codes, %v", len(files), len(services()), err)
	}
	if count := fmt.Sprintf("answers %d request codes", len(services())); !strings.Contains(string(differences), count) {
		t.Errorf("DIFFERENCES.md does not say %q", count)
	}
}
