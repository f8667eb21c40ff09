// Package version says which build is running.
package version

import (
	"fmt"
	"runtime/debug"
)

// String is the version of the module, the commit it was built from and the Go
// version, as far as the build recorded them.
func String() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return describe(info)
}

func describe(info *debug.BuildInfo) string {
	version, commit, dirty := info.Main.Version, "", ""
	if version == "" {
		version = "(devel)"
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			commit = " commit " + s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = " with local changes"
		}
	}
	return fmt.Sprintf("%s%s%s %s", version, commit, dirty, info.GoVersion)
}
