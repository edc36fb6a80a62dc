"""As little toolkit as the demos need: window, swapchain, pacing."""
