package auth

import (
	"context"
	"fmt"
	"time"

	oras "oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// helperWait bounds a credential helper.
const helperWait = 10 * time.Second

// Login is what a replica is shown by us. It is asked for again when the replica refuses it, and now and then.
type Login func(ctx context.Context) (oras.Credential, error)

// Password is a login that the file has.
func Password(username, password string) Login {
	return func(context.Context) (oras.Credential, error) {
		return oras.Credential{Username: username, Password: password}, nil
	}
}

// DockerLogin is what people have logged in with: the first of the hosts that the file has a login for. Without one, or
// without the file, it is that of nobody, which is enough for what is public.
func DockerLogin(path string, hosts ...string) Login {
	return func(ctx context.Context) (oras.Credential, error) {
		ctx, cancel := context.WithTimeout(ctx, helperWait)
		defer cancel()
		store, err := credentials.NewStore(path, credentials.StoreOptions{})
		if err != nil {
			return oras.EmptyCredential, err
		}
		for _, host := range hosts {
			c, err := store.Get(ctx, credentials.ServerAddressFromHostname(host))
			if err != nil || c != oras.EmptyCredential {
				return c, err
			}
		}
		return oras.EmptyCredential, nil
	}
}

// DockerConfig is the login that a docker config.json has for a host, in itself or by its credential helpers. It is
// read anew each time: who rotates a password does not restart us.
func DockerConfig(path, host string) Login {
	login := DockerLogin(path, host)
	return func(ctx context.Context) (oras.Credential, error) {
		c, err := login(ctx)
		if err == nil && c == oras.EmptyCredential {
			err = fmt.Errorf("%s has no login for %s", path, host)
		}
		return c, err
	}
}
