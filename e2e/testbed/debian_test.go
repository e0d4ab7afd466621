package testbed

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestPackagesOfASimulation(t *testing.T) {
	const out = `NOTE: This is only a simulation!
Reading package lists...
The following NEW packages will be installed:
  chromium libnss3
Inst libc6 [2.41-12] (2.41-12+deb13u1 Debian:13.1/stable [amd64])
Inst libnss3 (2:3.110-1 Debian:13.1/stable [amd64])
Inst chromium (143.0.7499.109-1~deb13u1 Debian-Security:13/stable-security [amd64])
Inst
Conf libnss3 (2:3.110-1 Debian:13.1/stable [amd64])
`
	if got := installed(out); !slices.Equal(got, []string{"libnss3", "chromium"}) {
		t.Errorf("%q", got)
	}
}

func TestWhichNodeIsNewEnough(t *testing.T) {
	for version, want := range map[string]bool{"v20.19.5": true, "v22.1.0": true, "v18.20.4": false, "v9.0.0": false, "": false, "node": false} {
		program := filepath.Join(t.TempDir(), "node")
		if err := os.WriteFile(program, []byte("#!/bin/sh\necho "+version+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		if got := newEnough(t.Context(), program); got != want {
			t.Errorf("%q: %v", version, got)
		}
	}
	if newEnough(t.Context(), filepath.Join(t.TempDir(), "none")) {
		t.Error("a node that is not there is new enough")
	}
}

func TestLibrariesThatAPackageHasForItselfAreFoundToo(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{"lib/x86_64-linux-gnu/libz.so.1", "usr/lib/x86_64-linux-gnu/libpulse.so.0", "usr/lib/x86_64-linux-gnu/pulseaudio/libpulsecommon-16.1.so", "usr/lib/x86_64-linux-gnu/perl/File.pm"} {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/pulseaudio"}
	for i, at := range want {
		want[i] = filepath.Join(dir, at)
	}
	if got := librariesIn(dir); !slices.Equal(got, want) {
		t.Errorf("%q\nnot %q", got, want)
	}
}
