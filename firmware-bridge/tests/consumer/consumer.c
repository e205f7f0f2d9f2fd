/* Links the whole library, and sees that a configuration without anything is refused. */
#include <headwater_bridge.h>
#include <headwater_ring.h>

int main(void) {
    static hwb_config_t config;
    static hwr_config_t medium;
    static hwb_t bridge;
    static hwr_t ring;
    return hwb_init(&bridge, &config) == HWB_ERR_CONFIG && hwr_init(&ring, &medium) == HWB_ERR_CONFIG ? 0 : 1;
}
