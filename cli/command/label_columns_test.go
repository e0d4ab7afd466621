package command

import (
	"strings"
	"testing"
)

func TestLabelsInLists(t *testing.T) {
	for _, c := range []commandCase{
		{args: "cluster list -L a,example.com/tier --no-headers", out: "  1\n"},
		{args: "app list --json name,labels", out: `"env": "prod"`},
	} {
		newHubOf(t, everything())
		run(t, "", strings.Fields(c.args)...).check(t, c.code, c.out, c.err)
	}
}
