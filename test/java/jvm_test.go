package java

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	// variableJars names the folder with RocketMQ's jars, if it is not that of this
	// checkout's stack.
	variableJars = "ORDERFLOW_TEST_ROCKETMQ_JARS"
	stackJars    = "../../.stack/jars/rocketmq"

	// programTimeout bounds one program.
	programTimeout = 2 * time.Minute
)

// jvm runs Java programs with RocketMQ's jars.
type jvm struct {
	java    string // the program
	jars    string // on the class path
	classes string // the scenes, compiled
	home    string // takes what the client and mqadmin write
}

// newJVM compiles the scenes. The test is skipped if something is not installed.
func newJVM(t *testing.T) *jvm {
	t.Helper()
	jars := os.Getenv(variableJars)
	if jars == "" {
		jars = stackJars
	}
	jars, err := filepath.Abs(jars)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(jars, "pom.xml")); err != nil {
		t.Skipf("no jars of RocketMQ: run \"make stack-up\" once, or set %s", variableJars)
	}
	bin := findJDK(t)
	if bin == "" {
		t.Skip("no JDK 17: install Debian's openjdk-17-jdk-headless, or set JAVA_HOME")
	}
	sources, err := filepath.Glob("testdata/*.java")
	if err != nil || len(sources) == 0 {
		t.Fatalf("no sources: %v", err)
	}
	classes, jars := t.TempDir(), filepath.Join(jars, "*")
	compiler := exec.CommandContext(t.Context(), filepath.Join(bin, "javac"),
		append([]string{"-J-XX:TieredStopAtLevel=1", "-proc:none", "-encoding", "UTF-8", "-d", classes, "-cp", jars}, sources...)...)
	if output, err := compiler.CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, output)
	}
	return &jvm{java: filepath.Join(bin, "java"), jars: jars, classes: classes, home: t.TempDir()}
}

// findJDK returns the folder with java and javac of a JDK 17, or nothing. 17 is
// what the stack runs RocketMQ with.
func findJDK(t *testing.T) string {
	t.Helper()
	var candidates []string
	if home := os.Getenv("JAVA_HOME"); home != "" {
		candidates = append(candidates, filepath.Join(home, "bin"))
	}
	if path, err := exec.LookPath("javac"); err == nil {
		candidates = append(candidates, filepath.Dir(path))
	}
	installed, err := filepath.Glob("/usr/lib/jvm/*17*/bin")
	if err != nil {
		t.Fatal(err)
	}
	for _, bin := range append(candidates, installed...) {
		version, err := exec.CommandContext(t.Context(), filepath.Join(bin, "javac"), "-version").Output()
		if err == nil && strings.HasPrefix(string(version), "javac 17") {
			return bin
		}
	}
	return ""
}

// command prepares a program with its arguments, and flags for the JVM.
func (j *jvm) command(ctx context.Context, flags []string, args ...string) *exec.Cmd {
	// Programs that live for seconds start sooner with the first compiler only.
	all := append([]string{
		"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m", "-Duser.home=" + j.home,
		"-Drmq.logback.configurationFile=testdata/logback.xml",
	}, flags...)
	cmd := exec.CommandContext(ctx, j.java, append(all, args...)...)
	cmd.Env = append(os.Environ(), "ROCKETMQ_HOME="+j.home)
	cmd.WaitDelay = time.Second
	return cmd
}

// scenes prepares a program of testdata.
func (j *jvm) scenes(ctx context.Context, flags []string, args ...string) *exec.Cmd {
	classPath := j.classes + string(filepath.ListSeparator) + j.jars
	return j.command(ctx, append(flags, "-cp", classPath), args...)
}

// admin prepares an mqadmin. The first one writes the classes that it has loaded
// to a file, with which the next ones need half the time to start.
func (j *jvm) admin(ctx context.Context, args ...string) *exec.Cmd {
	archive := filepath.Join(j.home, "mqadmin.jsa")
	flag := "-XX:SharedArchiveFile="
	if _, err := os.Stat(archive); err != nil {
		flag = "-XX:ArchiveClassesAtExit="
	}
	flags := []string{flag + archive, "-Xlog:disable", "-cp", j.jars}
	return j.command(ctx, flags, append([]string{"org.apache.rocketmq.tools.command.MQAdminStartup"}, args...)...)
}
