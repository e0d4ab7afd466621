// Command caller hits a point three times, and says how that went.
package main

import (
	"fmt"

	"github.com/hawser-dev/hawser/shared/failpoint"
)

func main() {
	for n := range 3 {
		failpoint.Hit("journal.write.before")
		fmt.Println(n+1, failpoint.Error("journal.write.after"))
	}
}
