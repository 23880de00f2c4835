"""What tests of several rooms share: servers, scripted providers, databases, certificates and sample teams."""
