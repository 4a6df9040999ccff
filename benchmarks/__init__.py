"""Measurements that anybody can repeat; the results carry machine and versions."""
