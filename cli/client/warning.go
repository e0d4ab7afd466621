package client

import (
	"net/http"
	"strconv"
	"strings"
)

// Warnings are what the hub warns of in the headers of an answer that is good.
func Warnings(answer http.Header) (out []string) {
	for _, w := range answer.Values("Warning") {
		quoted, ok := strings.CutPrefix(w, "299 - ")
		if !ok {
			continue // of somebody between here and there
		}
		if text, err := strconv.Unquote(quoted); err == nil {
			out = append(out, text)
		}
	}
	return out
}
