// Command kubeadm is kubeadm of one exact release, built from its published module: what
// it takes as given is the measure of the layout of that name.
package main

import (
	"k8s.io/kubernetes/cmd/kubeadm/app"
	utilerrors "k8s.io/kubernetes/cmd/kubeadm/app/util/errors"
)

func main() { utilerrors.HandleError(app.Run()) }
