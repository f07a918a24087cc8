// Command kube-apiserver is the API server of one exact Kubernetes release, built from its
// published module: the client of etcd that all of this is for. With "controller-manager" as
// its first argument it is the kube-controller-manager of the same release.
package main

import (
	"fmt"
	"os"
	"time"

	"k8s.io/apiserver/pkg/server/options/encryptionconfig/controller"
	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	manager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

// reloadPoll is how often the server looks at its encryption configuration: every minute,
// or as this variable says. Kubernetes exposes it for its own integration tests.
const reloadPoll = "KUBE_APISERVER_RELOAD_POLL"

func main() {
	if len(os.Args) > 1 && os.Args[1] == "controller-manager" {
		os.Args = append(os.Args[:1], os.Args[2:]...)
		os.Exit(cli.Run(manager.NewControllerManagerCommand()))
	}
	if text := os.Getenv(reloadPoll); text != "" {
		poll, err := time.ParseDuration(text)
		if err != nil {
			fmt.Fprintln(os.Stderr, reloadPoll+":", err)
			os.Exit(2)
		}
		controller.EncryptionConfigFileChangePollDuration = poll
	}
	os.Exit(cli.Run(app.NewAPIServerCommand()))
}
