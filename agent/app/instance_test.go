package app

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

func TestInstanceOfThisProcessIsNotGone(t *testing.T) {
	me := newInstance()
	if startTicks(os.Getpid()) == "" {
		t.Skip("this system has no /proc to tell processes by; instances are never known to be gone here")
	}
	if instanceGone(me) {
		t.Errorf("%s is running", me)
	}
}

func TestInstanceOfEndedProcessIsGone(t *testing.T) {
	cmd := exec.Command("cat")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ticks := startTicks(cmd.Process.Pid)
	parts := strings.Split(newInstance(), "_")
	other := strings.Join([]string{parts[0], parts[1], strconv.Itoa(cmd.Process.Pid), ticks}, "_")
	if ticks == "" {
		t.Skip("this system has no /proc to tell processes by; instances are never known to be gone here")
	}
	if instanceGone(other) {
		t.Error("a running process is not gone")
	}
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if !instanceGone(other) {
		t.Error("an ended process is gone")
	}
}

func TestInstancesThatCannotBeJudgedAreNotGone(t *testing.T) {
	parts := strings.Split(newInstance(), "_")
	for name, instance := range map[string]string{
		"another host":  strings.Join([]string{"elsewhere", parts[1], "1", "1"}, "_"),
		"another boot":  strings.Join([]string{parts[0], "0000", "1", "1"}, "_"),
		"no start time": strings.Join([]string{parts[0], parts[1], "999999", ""}, "_"),
		"free text":     "somebody",
		"empty":         "",
	} {
		if instanceGone(instance) {
			t.Errorf("%s: %q counts as gone", name, instance)
		}
	}
}
