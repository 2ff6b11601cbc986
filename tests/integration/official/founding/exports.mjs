// What the tests call of the founding example, which exports nothing itself.
export const EXPORTS = '\nexport { registerUser, loginUser, createPost, getRecentPosts, subscribeToUserPosts, uploadImage, demo };\n';
