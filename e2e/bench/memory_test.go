package main

import (
	"math"
	"testing"
)

const heapText = `heap profile: 3: 1000 [5: 2000] @ heap/4096
1: 800 [2: 1600] @ 0x1 0x2 0x3
#	0x1	bytes.Clone+0x20	/go/src/bytes/bytes.go:1
#	0x2	github.com/hawser-dev/hawser/agent/observe.(*trimmer).record+0x10	/src/agent/observe/trim.go:9
#	0x3	github.com/hawser-dev/hawser/agent/app.Run+0x10	/src/agent/app/run.go:9

1: 100 [2: 200] @ 0x4 0x2 0x3
#	0x4	bytes.Clone+0x30	/go/src/bytes/bytes.go:1
#	0x2	github.com/hawser-dev/hawser/agent/observe.(*trimmer).record+0x10	/src/agent/observe/trim.go:9

1: 100 [1: 100] @ 0x9
#	0x9	runtime.malg+0x20	/go/src/runtime/proc.go:1

0: 0 [1: 100] @ 0x9
#	0x9	runtime.malg+0x20	/go/src/runtime/proc.go:1

# runtime.MemStats
# Alloc = 5
# HeapAlloc = 123456
`

func TestHeapProfileIsRead(t *testing.T) {
	sites, live, err := parseHeap([]byte(heapText))
	if err != nil || live != 123456 || len(sites) != 2 {
		t.Fatalf("%v, %d live, %+v", err, live, sites)
	}
	for _, s := range sites {
		switch s.where {
		case "agent/observe.(*trimmer).record → bytes.Clone":
			// Two samples, of 800 and 100 bytes at one for each 2048.
			want := 800/(1-math.Exp(-800.0/2048)) + 100/(1-math.Exp(-100.0/2048))
			if s.part != "agent/observe" || math.Abs(float64(s.bytes)-want) > 2 {
				t.Errorf("%+v, want %.0f bytes", s, want)
			}
		case "others: runtime.malg … runtime.malg":
			if s.part != "others" {
				t.Errorf("%+v", s)
			}
		default:
			t.Errorf("%+v", s)
		}
	}
	for _, bad := range []string{"", "heap profile: x", "heap profile: 1: 2 [3: 4] @ heap/1\n", "<html>"} {
		if _, _, err := parseHeap([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
