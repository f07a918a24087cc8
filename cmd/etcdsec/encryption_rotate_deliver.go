package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/manifests/encryption/rotation"
)

// parseInstalls reads the values of --install. It maps the names of API servers to files of this
// machine.
func parseInstalls(written []string, servers []rotation.Server) (map[string]string, error) {
	local := map[string]string{}
	for _, w := range written {
		name, path, found := strings.Cut(w, "=")
		known := slices.ContainsFunc(servers, func(s rotation.Server) bool { return s.Name == name })
		if !found || path == "" || !known {
			return nil, usageError(fmt.Errorf("--install %q: want NAME=FILE with the name of an API server", w), "--install cp-0=/etc/kubernetes/encryption/encryption-config.yaml")
		}
		local[name] = path
	}
	return local, nil
}
