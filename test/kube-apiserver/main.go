// Command kube-apiserver is the API server of one exact Kubernetes release, built from its
// published module: the client of etcd that all of this is for.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	os.Exit(cli.Run(app.NewAPIServerCommand()))
}
