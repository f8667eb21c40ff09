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
	version, commit := parts(info)
	if commit != "" {
		commit = " commit " + commit
	}
	dirty := ""
	for _, s := range info.Settings {
		if s.Key == "vcs.modified" && s.Value == "true" {
			dirty = " with local changes"
		}
	}
	return fmt.Sprintf("%s%s%s %s", version, commit, dirty, info.GoVersion)
}

// Parts are the version of the module and the first digits of the commit; what the
// build did not record is empty.
func Parts() (version, commit string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "", ""
	}
	return parts(info)
}

func parts(info *debug.BuildInfo) (version, commit string) {
	version = info.Main.Version
	if version == "" {
		version = "(devel)"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			commit = s.Value[:12]
		}
	}
	return version, commit
}
