package manifest

import (
	"bytes"

	"go.yaml.in/yaml/v3"
)

// firstNode is the root of the first document of data.
func firstNode(data []byte) (*yaml.Node, error) {
	var doc yaml.Node
	if err := decodeNode(yaml.NewDecoder(bytes.NewReader(data)), &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	return doc.Content[0], nil
}
